"""FHIR over HTTP: a client whose errors carry their fate, and the check of what it sends."""

from gateway.wire.fhir.client import MEDIA_TYPE, Answer, FhirClient, Refused, version_of

__all__ = ["MEDIA_TYPE", "Answer", "FhirClient", "Refused", "version_of"]
