"""FHIR over HTTP: a client whose errors carry their fate, and the check of what it sends."""

from gateway.wire.fhir.answer import (
    Answer,
    Contested,
    Gone,
    NotSupported,
    Refused,
    Resource,
    SeveralMatch,
    version_of,
)
from gateway.wire.fhir.client import MEDIA_TYPE, FhirClient

__all__ = [
    "MEDIA_TYPE", "Answer", "Contested", "FhirClient", "Gone", "NotSupported", "Refused", "Resource", "SeveralMatch",
    "version_of",
]  # fmt: skip
