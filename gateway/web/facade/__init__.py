"""A read-only FHIR R4 server of the gateway's own, for an EHR that reads studies instead of being written to."""

from gateway.web.facade.filling import fill
from gateway.web.facade.server import ENDPOINT, build

__all__ = ["ENDPOINT", "build", "fill"]
