"""Is this a valid ImagingStudy of R4 or R5? fhir.resources for structure and types, our own rules for the rest.

fhir.resources' R4B ImagingStudy equals R4's element for element; it accepts any status, ids over 64 characters and
coerces some types, so required bindings, id lengths, reference targets and the prose rules are checked here. A study
has thousands of instances of one simple kind: those are checked here alone, and only the others by fhir.resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Literal

import fhir_core.constraints
import pydantic

MAX_ID: Final = 64
"""Characters of an `id` (FHIR data types), and of a UID (PS3.5 9.1)."""
fhir_core.constraints.TYPES_ID_MAX_LENGTH = MAX_ID

Release = Literal["R4", "R5"]

STATUS: Final = frozenset({"registered", "available", "cancelled", "entered-in-error", "unknown"})
"""imagingstudy-status, a required binding of both releases."""
_PRACTITIONERS: Final = frozenset({"Practitioner", "PractitionerRole"})
_COMMON: Final = {
    "subject": frozenset({"Patient", "Device", "Group"}),
    "encounter": frozenset({"Encounter"}),
    "basedOn": frozenset({"CarePlan", "ServiceRequest", "Appointment", "AppointmentResponse", "Task"}),
    "referrer": _PRACTITIONERS,
    "endpoint": frozenset({"Endpoint"}),
    "location": frozenset({"Location"}),
}
TARGETS: Final = {
    "R4": _COMMON | {
        "interpreter": _PRACTITIONERS,
        "procedureReference": frozenset({"Procedure"}),
        "reasonReference": frozenset({"Condition", "Observation", "Media", "DiagnosticReport", "DocumentReference"}),
    },
    "R5": _COMMON | {"partOf": frozenset({"Procedure"})},
}  # fmt: skip
"""Reference targets that a release allows."""
_ACTORS: Final = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "Device", "RelatedPerson"}
)
SERIES_TARGETS: Final = {
    "R4": {"endpoint": frozenset({"Endpoint"}), "specimen": frozenset({"Specimen"}), "actor": _ACTORS},
    "R5": {
        "endpoint": frozenset({"Endpoint"}), "specimen": frozenset({"Specimen"}),
        "actor": _ACTORS | {"HealthcareService"},
    },
}  # fmt: skip
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
MAX_UNSIGNED: Final = 2**31 - 1


@lru_cache
def _model(release: Release, kind: str = "ImagingStudy") -> Any:
    if release == "R5":
        from fhir.resources import get_fhir_model_class as of_r5

        return of_r5(kind)
    from fhir.resources.R4B import get_fhir_model_class as of_r4b

    return of_r4b(kind)


STATUSES: Final = {
    "DocumentReference": frozenset({"current", "superseded", "entered-in-error"}),
    "ServiceRequest": frozenset(
        {"draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"}
    ),
    "Task": frozenset({
        "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold",
        "failed", "completed", "entered-in-error",
    }),
    "Procedure": frozenset({
        "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown",
    }),
}  # fmt: skip
"""document-reference-status, request-status, task-status and event-status, required bindings of both releases."""


def faults_of(resource: dict[str, Any], release: Release = "R4") -> list[str]:
    """Everything that is wrong with an ImagingStudy or a resource of `STATUSES`, each as `path: what`."""
    if resource["resourceType"] == "ImagingStudy":
        return faults_of_imaging_study(resource, release)
    kind, faults = resource["resourceType"], []
    try:
        _model(release, kind).model_validate(resource)
    except pydantic.ValidationError as error:
        faults += [f"{kind}.{_path(one['loc'], [])}: {one['msg']}" for one in error.errors()]
    if resource.get("status") not in STATUSES[kind]:
        faults.append(f"{kind}.status: {resource.get('status')!r} is not one of {', '.join(sorted(STATUSES[kind]))}")
    if kind == "DocumentReference":
        faults += [f"{kind}{fault}" for fault in _study_uid(resource)]
    return faults + [f"{kind}.{path}: {what}" for path, what in _blemishes(resource)]


def faults_of_imaging_study(resource: dict[str, Any], release: Release = "R4") -> list[str]:
    """Everything that is wrong with an ImagingStudy, each as `path: what`; [] when it is valid. CPU-bound."""
    slim, kept = _without_plain_instances(resource)
    faults = []
    try:
        _model(release).model_validate(slim)
    except pydantic.ValidationError as error:
        faults += [f"ImagingStudy.{_path(one['loc'], kept)}: {one['msg']}" for one in error.errors()]
    return faults + [f"ImagingStudy{fault}" for fault in _own_rules(resource, slim, release)]


def _without_plain_instances(resource: dict[str, Any]) -> tuple[dict[str, Any], list[list[int]]]:
    """`resource` with those instances only that need a closer look, and their places in each series."""
    all_series = resource.get("series")
    if not isinstance(all_series, list):
        return resource, []
    slim: list[Any] = []
    kept: list[list[int]] = []
    for series in all_series:
        instances = series.get("instance") if isinstance(series, dict) else None
        if not isinstance(instances, list):
            slim.append(series)
            kept.append([])
            continue
        places = [number for number, one in enumerate(instances) if not is_plain(one)]
        left = {key: value for key, value in series.items() if key != "instance"}
        # An empty list is a fault of its own, which must not go unseen.
        if places or not instances:
            left["instance"] = [instances[number] for number in places]
        slim.append(left)
        kept.append(places)
    return {**resource, "series": slim}, kept


def is_plain(instance: Any) -> bool:
    """Whether an instance holds nothing but a UID, a SOP Class, a number and a title, each as FHIR has them."""
    if not isinstance(instance, dict) or not instance.keys() <= _PLAIN:
        return False
    uid, sop_class = instance.get("uid"), instance.get("sopClass")
    if not (isinstance(uid, str) and _ID.fullmatch(uid) and isinstance(sop_class, dict)):
        return False
    if sop_class.keys() != _CODED:
        return False
    system, code = sop_class["system"], sop_class["code"]
    if not (isinstance(system, str) and isinstance(code, str) and _are_uris(system, code)):
        return False
    number, title = instance.get("number", 0), instance.get("title")
    if type(number) is not int or not 0 <= number <= MAX_UNSIGNED:
        return False
    if title is None:
        return "title" not in instance
    return isinstance(title, str) and bool(title.strip()) and not _CONTROL.search(title)


_PLAIN: Final = frozenset({"uid", "sopClass", "number", "title"})
_CODED: Final = frozenset({"system", "code"})
_UID_CODE: Final = re.compile(r"urn:[a-z0-9][a-z0-9-]*:[0-9A-Za-z.:-]+")


@lru_cache(maxsize=256)
def _are_uris(system: str, code: str) -> bool:
    """Whether both are URNs. Of thousands of instances most have the same SOP Class."""
    return bool(_UID_CODE.fullmatch(system) and _UID_CODE.fullmatch(code))


def _path(location: tuple[int | str, ...], kept: list[list[int]]) -> str:
    """Where the fault is in the resource as a whole."""
    parts = list(location)
    if len(parts) > 3 and parts[0] == "series" and parts[2] == "instance" and isinstance(parts[3], int):
        parts[3] = kept[int(parts[1])][parts[3]]
    return ".".join(str(part) for part in parts)


def _own_rules(resource: dict[str, Any], slim: dict[str, Any], release: Release) -> Iterator[str]:
    """`.path: what` of what fhir.resources passes."""
    if resource.get("status") not in STATUS:
        yield f".status: {resource.get('status')!r} is not one of {', '.join(sorted(STATUS))}"
    yield from _study_uid(resource)
    for element, targets in TARGETS[release].items():
        yield from (f".{element}: {fault}" for fault in _wrong_targets(resource.get(element), targets))
    of_series = SERIES_TARGETS[release]
    seen: set[str] = set()
    for number, series in enumerate(_dicts(resource.get("series"))):
        place = f".series[{number}]"
        for element in ("endpoint", "specimen"):
            faults = _wrong_targets(series.get(element), of_series[element])
            yield from (f"{place}.{element}: {fault}" for fault in faults)
        for performer in _dicts(series.get("performer")):
            faults = _wrong_targets(performer.get("actor"), of_series["actor"])
            yield from (f"{place}.performer.actor: {fault}" for fault in faults)
        yield from (f"{place}: {fault}" for fault in _uids([series], seen))
        yield from (f"{place}: {fault}" for fault in _uids(_dicts(series.get("instance")), set()))
    yield from (f".{path}: {what}" for path, what in _blemishes(slim))


def _study_uid(resource: dict[str, Any]) -> Iterator[str]:
    uids = [one for one in _dicts(resource.get("identifier")) if one.get("system") == "urn:dicom:uid"]
    if len(uids) != 1:
        yield f".identifier: has {len(uids)} Study Instance UIDs; exactly one is wanted"


def _uids(holders: list[dict[str, Any]], seen: set[str]) -> Iterator[str]:
    """What is wrong with UIDs that must differ from each other and from those `seen`."""
    uids = [str(one.get("uid", "")) for one in holders]
    if len(set(uids)) == len(uids) and seen.isdisjoint(uids) and max(map(len, uids), default=0) <= MAX_ID:
        seen.update(uids)
        return
    for uid in uids:
        if len(uid) > MAX_ID:
            yield f"the uid {uid} is longer than {MAX_ID} characters"
        if uid in seen:
            yield f"the uid {uid} stands twice"
        seen.add(uid)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _wrong_targets(value: Any, targets: frozenset[str]) -> Iterator[str]:
    for reference in value if isinstance(value, list) else [value] if value else []:
        if not isinstance(reference, dict):
            continue
        kind = reference.get("type") or str(reference.get("reference", "")).split("/")[0].split("?")[0]
        if kind and not kind.startswith(("#", "urn:", "http")) and kind not in targets:
            yield f"may not refer to {kind}"


def _blemishes(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, what) of empty objects, lists, strings and of control characters: FHIR forbids, validators pass them."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _blemishes(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from _blemishes(one, f"{path}[{number}]")
    elif value is None or value in ("", [], {}):
        yield path, "is empty"
    elif isinstance(value, str) and _CONTROL.search(value):
        yield path, "has a control character"
