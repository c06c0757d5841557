"""By which values an ImagingStudy is found: the search parameters of R4 that are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import tzinfo
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.studies.dates import period_of
from gateway.records.search import Findable, SearchToken

Pair = tuple[str, str]
STATUS_SYSTEM: Final = "http://hl7.org/fhir/imagingstudy-status"


def findable(resource: dict[str, Any], zone: tzinfo) -> Findable:
    """What an R4 ImagingStudy is found by; `zone` is that of a `started` without a time."""
    tokens = {SearchToken(name, *pair) for name, values in _VALUES.items() for pair in values(resource) if pair[1]}
    try:
        started = period_of(resource["started"], zone) if "started" in resource else None
    except InvalidValue:
        started = None
    return Findable(frozenset(tokens), started)


def _identifier(one: dict[str, Any]) -> Pair:
    return one.get("system", ""), one.get("value", "")


def _referred(references: list[dict[str, Any]]) -> Iterator[Pair]:
    return (_identifier(one["identifier"]) for one in references if "identifier" in one)


def _coded(resource: dict[str, Any], element: str) -> Iterator[Pair]:
    for series in resource.get("series", ()):
        if coding := series.get(element):
            yield coding.get("system", ""), coding.get("code", "")


_VALUES: Final[dict[str, Callable[[dict[str, Any]], Iterator[Pair]]]] = {
    "identifier": lambda one: map(_identifier, one.get("identifier", ())),
    "patient": lambda one: _referred([one["subject"]]),
    "basedon": lambda one: _referred(one.get("basedOn", [])),
    "modality": lambda one: _coded(one, "modality"),
    "bodysite": lambda one: _coded(one, "bodySite"),
    "series": lambda one: (("", series["uid"]) for series in one.get("series", ())),
    "status": lambda one: iter([(STATUS_SYSTEM, one["status"])]),
}
"""Search parameter -> (system, value) of everything that it meets."""
