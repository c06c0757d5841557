"""What the facade says of itself (FHIR R4 CapabilityStatement)."""

from __future__ import annotations

from typing import Any, Final

from gateway.web.facade.parameters import INCLUDE, PARAMETERS

_NOTE: Final = (
    "ImagingStudy of the studies that arrived here, read-only. Patients and orders are known by identifier. "
    "A search without matches of a kind that is not served is refused, not answered with nothing."
)


def statement(base: str, version: str, started: str) -> dict[str, Any]:
    """`started`: an instant, since when this program has been saying so."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": started,
        "kind": "instance",
        "software": {"name": "Imaging gateway", "version": version},
        "implementation": {"description": "Studies as the imaging gateway knows them", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{"mode": "server", "documentation": _NOTE, "resource": [_imaging_study(), _ENDPOINT]}],
    }


def _imaging_study() -> dict[str, Any]:
    return {
        "type": "ImagingStudy",
        "profile": "http://hl7.org/fhir/StructureDefinition/ImagingStudy",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned",
        "readHistory": False,
        "conditionalRead": "full-support",
        "referencePolicy": ["logical"],
        "searchInclude": [INCLUDE],
        "searchParam": [
            {
                "name": name,
                "type": one.kind,
                "definition": one.definition(name),
                "documentation": one.documentation,
            }
            for name, one in PARAMETERS.items()
        ],
    }


_ENDPOINT: Final = {
    "type": "Endpoint",
    "profile": "http://hl7.org/fhir/StructureDefinition/Endpoint",
    "interaction": [{"code": "read"}],
}
