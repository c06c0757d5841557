"""What of a study its resources cannot say, as findings: a cause stands once, however many instances have it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.mapping.language.values import vr_of
from gateway.mapping.studies.base import UNIVERSAL_TYPES, oid_uri, universal
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.records.study import Study

_UIDS: Final = frozenset({"CodingSchemeUID", "DeviceUID", "SpecimenUID"})
"""UIDs that resources repeat as URIs."""
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NO_ID: Final = "is no id of FHIR (64 characters at most); it is counted and not listed"
_NAMED_BY: Final = {"series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}


class Remarks:
    """Findings of one study while its resource is built."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._first: dict[tuple[str, str, str], tuple[str, str]] = {}

    def add(self, level: str, uid: str, place: str, text: str, *, cause: str = "") -> None:
        """Note `text` about the attribute at `place` of the study, series or instance `uid`.

        Equal `cause` (if it is not given, equal `text`) at one place is one finding, in the words of the first.
        """
        key = (level, place, cause or text)
        self._counts[key] = self._counts.get(key, 0) + 1
        self._first.setdefault(key, (text, uid))

    def findings(self) -> Iterator[Finding]:
        """The findings in the order in which they were met, each with how many have it and the first of them."""
        for (level, place, cause), count in self._counts.items():
            text, uid = self._first[level, place, cause]
            where = "" if level == "study" else f" ({level} {uid}{_others(count, level)})"
            yield Finding(place, text + where)


def _others(count: int, level: str) -> str:
    if count == 1:
        return ""
    noun = level if level == "series" or count == 2 else f"{level}s"
    return f" and {count - 1} more {noun}"


def is_id(uid: str) -> bool:
    """Whether FHIR can hold a UID as `id`."""
    return _ID.fullmatch(uid) is not None


def is_listed(level: str, uid: str, remarks: Remarks) -> bool:
    """Whether FHIR can name a series or instance by its UID; one that it cannot is counted and not listed."""
    if is_id(uid):
        return True
    remarks.add(level, uid, _NAMED_BY[level], f"{uid!r} {_NO_ID}", cause=_NO_ID)
    return False


def note_uids(study: Study, remarks: Remarks) -> None:
    """Note the identifiers of coding schemes, devices, specimens and authorities that are no UID or URI."""
    if not oid_uri(study.uid):
        remarks.add(
            "study", study.uid, "StudyInstanceUID", f"{study.uid!r} is no UID of PS3.5 9.1; it is sent unchanged"
        )
    _note_level("study", study.uid, study.attributes, remarks)
    for series in study.series:
        _note_level("series", series.uid, series.attributes, remarks)
        # Of thousands of instances most hold neither such an identifier nor items.
        keywords = set[str]().union(*(one.attributes for one in series.instances))
        if any(keyword in _UIDS or vr_of(keyword) == "SQ" for keyword in keywords):
            for instance in series.instances:
                _note_level("instance", instance.uid, instance.attributes, remarks)


def _note_level(level: str, uid: str, attributes: Attributes, remarks: Remarks) -> None:
    if _UIDS.isdisjoint(attributes) and list not in map(type, attributes.values()):
        return
    for place, value in _without_uri(attributes):
        remarks.add(level, uid, place, f"{value!r} is no UID or URI; it is left out", cause="no URI")


def _without_uri(attributes: Attributes) -> Iterator[tuple[str, Any]]:
    """(place, value) of the identifiers in `attributes` and their items that cannot be expressed as a URI."""
    for keyword, value in attributes.items():
        if isinstance(value, list) and vr_of(keyword) == "SQ":
            yield from _of_items(keyword, value)
        elif _is_wrong(keyword, attributes):
            yield keyword, value


def _is_wrong(keyword: str, attributes: Attributes) -> bool:
    if keyword == "UniversalEntityID":
        return _has_uri(attributes) and not universal([attributes])
    return keyword in _UIDS and not oid_uri(str(attributes[keyword]))


def _has_uri(issuer: Attributes) -> bool:
    """Whether identifiers of this type are URIs: a domain name is right, and none."""
    return str(issuer.get("UniversalEntityIDType") or "ISO").upper() in UNIVERSAL_TYPES


def _of_items(keyword: str, items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for item in items:
        if isinstance(item, dict):
            yield from ((f"{keyword}.{place}", value) for place, value in _without_uri(item))
