"""Instance Availability Notifications: which instances of a study can be had from where (PS3.4 Annex R)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from gateway.errors import InvalidValue, RequiredEmpty, RequiredMissing
from gateway.records.finding import Finding
from gateway.records.identifiers import LONGEST_UID, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.study import Study

MOST_FINDINGS: Final = 20
_MPPS: Final = "1.2.840.10008.3.1.2.3.3"


class Availability(StrEnum):
    """Instance Availability (0008,0056) (PS3.3 C.4.23.1.1)."""

    ONLINE = "ONLINE"
    NEARLINE = "NEARLINE"
    OFFLINE = "OFFLINE"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class AvailableInstance:
    """As stated; what is not stated is empty."""

    sop_uid: str
    availability: str
    retrieve_ae: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What a peer has stated about a study."""

    study_uid: StudyInstanceUID
    attributes: Attributes
    """Those of the N-CREATE (PS3.4 Table R.3.2-1)."""
    findings: tuple[Finding, ...]


def notified(attributes: Attributes) -> Notification:
    """The notification of an N-CREATE. Raises `RequiredMissing` without Study Instance UID, `InvalidValue` for one
    that is too long; nothing else is needed."""
    if "StudyInstanceUID" not in attributes:
        raise RequiredMissing("it tells the study", place="StudyInstanceUID")
    study_uid = str(attributes["StudyInstanceUID"] or "")
    if not study_uid:
        raise RequiredEmpty("it tells the study", place="StudyInstanceUID")
    if len(study_uid) > LONGEST_UID:
        raise InvalidValue(f"has {len(study_uid)} characters, more than {LONGEST_UID}", place="StudyInstanceUID")
    return Notification(StudyInstanceUID(study_uid), attributes, tuple(_findings(attributes)))


def available_instances(attributes: Attributes) -> list[AvailableInstance]:
    """The instances that a notification names, each once, as it is stated last."""
    stated = {
        uid: AvailableInstance(uid, _text(reference, "InstanceAvailability"), _text(reference, "RetrieveAETitle"))
        for reference in _references(attributes)
        if (uid := _text(reference, "ReferencedSOPInstanceUID"))
    }
    return list(stated.values())


def performed_steps_of(attributes: Attributes) -> list[str]:
    """SOP Instance UIDs of the performed steps that a notification names."""
    steps = _items(attributes, "ReferencedPerformedProcedureStepSequence")
    return list(dict.fromkeys(uid for one in steps if (uid := _text(one, "ReferencedSOPInstanceUID"))))


def online(study: Study, retrieve_ae: str, performed_steps: Sequence[str]) -> Attributes:
    """The notification that all instances of a study are at hand at `retrieve_ae` (PS3.4 Table R.3.2-1).

    `performed_steps`: SOP Instance UIDs of those that have produced the study.
    """
    shared = {"InstanceAvailability": Availability.ONLINE.value, "RetrieveAETitle": retrieve_ae}
    steps = [
        {"ReferencedSOPClassUID": _MPPS, "ReferencedSOPInstanceUID": uid, "PerformedWorkitemCodeSequence": []}
        for uid in performed_steps
    ]
    series = [
        {
            "SeriesInstanceUID": one.uid,
            "ReferencedSOPSequence": [
                {"ReferencedSOPClassUID": of.sop_class_uid, "ReferencedSOPInstanceUID": of.uid, **shared}
                for of in one.instances
            ],
        }
        for one in study.series
        if one.instances
    ]
    return {
        "ReferencedPerformedProcedureStepSequence": steps,
        "StudyInstanceUID": study.uid,
        "ReferencedSeriesSequence": series,
    }


def _findings(attributes: Attributes) -> list[Finding]:
    references = [*_references(attributes)]
    if not references:
        return [Finding("ReferencedSeriesSequence", "names no instances")]
    nameless = sum(not _text(one, "ReferencedSOPInstanceUID") for one in references)
    odd = Counter(_text(one, "InstanceAvailability") for one in references)
    for one in Availability:
        del odd[one]
    findings = [Finding("ReferencedSOPInstanceUID", f"{nameless} items have none")] if nameless else []
    findings += [Finding("InstanceAvailability", f"{value!r} is none, of {count}") for value, count in odd.items()]
    return findings[:MOST_FINDINGS]


def _references(attributes: Attributes) -> Iterator[Attributes]:
    for series in _items(attributes, "ReferencedSeriesSequence"):
        yield from _items(series, "ReferencedSOPSequence")


def _items(attributes: Attributes, keyword: str) -> list[Attributes]:
    """The items of a sequence; none where something else stands in its place."""
    value: Any = attributes.get(keyword)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(attributes: Attributes, keyword: str) -> str:
    value = attributes.get(keyword)
    return "\\".join(map(str, value)) if isinstance(value, list) else str(value or "")
