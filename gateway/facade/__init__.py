"""A read-only FHIR R4 server of the gateway's own, for an EHR that reads studies instead of being written to."""

from gateway.facade.filling import fill
from gateway.facade.server import ENDPOINT, build

__all__ = ["ENDPOINT", "build", "fill"]
