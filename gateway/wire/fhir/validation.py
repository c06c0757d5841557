"""Is this a valid R4 resource? fhir.resources for structure and types, our own rules for what it does not check.

fhir.resources' R4B ImagingStudy equals R4's element for element; it accepts any status, ids over 64 characters and
coerces some types, so required bindings, id lengths, reference targets and the prose rules are checked here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import fhir_core.constraints
import pydantic

fhir_core.constraints.TYPES_ID_MAX_LENGTH = 64

STATUS: Final = frozenset({"registered", "available", "cancelled", "entered-in-error", "unknown"})
"""imagingstudy-status, a required binding."""
TARGETS: Final = {
    "subject": {"Patient", "Device", "Group"},
    "basedOn": {"CarePlan", "ServiceRequest", "Appointment", "AppointmentResponse", "Task"},
    "referrer": {"Practitioner", "PractitionerRole"},
    "interpreter": {"Practitioner", "PractitionerRole"},
    "endpoint": {"Endpoint"},
    "location": {"Location"},
    "procedureReference": {"Procedure"},
}
"""Reference targets that R4 allows."""


def warm_up() -> None:
    """Load and build the models: a quarter of a second that the first study should not wait for."""
    faults_of_imaging_study({"resourceType": "ImagingStudy"})


@lru_cache
def _model() -> Any:
    from fhir.resources.R4B.imagingstudy import ImagingStudy

    return ImagingStudy


def faults_of_imaging_study(resource: dict[str, Any]) -> list[str]:
    """Everything that is wrong with an R4 ImagingStudy, each as `path: what`; [] when it is valid. CPU-bound."""
    faults = []
    try:
        _model().model_validate(resource)
    except pydantic.ValidationError as error:
        for one in error.errors():
            path = ".".join(str(part) for part in one["loc"])
            faults.append(f"ImagingStudy.{path}: {one['msg']}")
    return faults + _own_rules(resource)


def _own_rules(resource: dict[str, Any]) -> list[str]:
    faults = []
    if resource.get("status") not in STATUS:
        faults.append(f"ImagingStudy.status: {resource.get('status')!r} is not one of {', '.join(sorted(STATUS))}")
    uids = [one for one in resource.get("identifier") or [] if one.get("system") == "urn:dicom:uid"]
    if len(uids) != 1:
        faults.append(f"ImagingStudy.identifier: has {len(uids)} Study Instance UIDs; exactly one is wanted")
    for element, targets in TARGETS.items():
        value = resource.get(element)
        for reference in value if isinstance(value, list) else [value] if value else []:
            kind = reference.get("type") or str(reference.get("reference", "")).split("/")[0].split("?")[0]
            if kind and not kind.startswith(("#", "urn:", "http")) and kind not in targets:
                faults.append(f"ImagingStudy.{element}: may not refer to {kind}")
    faults += [f"ImagingStudy.{path}: is empty" for path in _empties(resource)]
    for number, series in enumerate(resource.get("series") or []):
        for one in (series, *(series.get("instance") or ())):
            if len(str(one.get("uid", ""))) > 64:
                faults.append(f"ImagingStudy.series[{number}]: the uid {one['uid']} is longer than 64 characters")
    return faults


def _empties(value: Any, path: str = "") -> list[str]:
    """Paths of empty objects, lists and strings, which FHIR forbids and validators pass."""
    if isinstance(value, dict):
        if not value:
            return [path.lstrip(".")]
        return [found for key, one in value.items() for found in _empties(one, f"{path}.{key}")]
    if isinstance(value, list):
        if not value:
            return [path.lstrip(".")]
        return [found for number, one in enumerate(value) for found in _empties(one, f"{path}[{number}]")]
    return [path.lstrip(".")] if value is None or value == "" else []
