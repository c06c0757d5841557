"""What FHIR R4 (4.0.1) asks of the resources that the simulated EHR takes: cardinality, types, bindings.

Written from the published StructureDefinitions, and apart from what the gateway itself validates with, so
that the one can find a fault of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.simulators.fhir_elements import CODES, ELEMENTS

_DATE_TIME = (
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)))?)?)?"
)
_TEXT = {
    "string": re.compile(r"[\s\S]*\S[\s\S]*"),
    "code": re.compile(r"\S+(\s\S+)*"),
    "uri": re.compile(r"\S+"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "date": re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"),
    "dateTime": re.compile(_DATE_TIME),
    "instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "base64Binary": re.compile(r"(\s*[0-9A-Za-z+/=]{4}\s*)+"),
}
"""Primitive types that are JSON strings (FHIR R4 datatypes, 2.24.0.1)."""


@dataclass(frozen=True)
class Issue:
    """One fault: an issue code of OperationOutcome, where it is (a FHIRPath), and what it is."""

    code: str
    expression: str
    text: str


def faults(resource: Mapping[str, Any]) -> list[Issue]:
    """Every fault of a resource of one of the `RESOURCES`; an empty list when it is valid."""
    kind = str(resource["resourceType"])
    elements = {**ELEMENTS["Resource"], **ELEMENTS[kind]}
    return list(_object_faults({k: v for k, v in resource.items() if k != "resourceType"}, kind, kind, elements))


def _object_faults(value: Mapping[str, Any], path: str, kind: str, elements: Mapping[str, str]) -> Iterator[Issue]:
    for name in value:
        # "_status" carries the id and extensions of the primitive "status" (FHIR R4 JSON 2.6.2.3).
        if name.removeprefix("_") not in elements and name not in ("extension", "id"):
            yield Issue("structure", f"{path}.{name}", f"{kind} has no element {name}")
    for name, rule in elements.items():
        cardinality, _, target = rule.partition(" ")
        least, most = cardinality.split("..")
        here = f"{path}.{name}"
        if name not in value:
            if least == "1":
                yield Issue("required", here, "a required element is missing")
        elif most == "*":
            yield from _list_faults(value[name], here, f"{kind}.{name}", target)
        else:
            yield from _value_faults(value[name], here, f"{kind}.{name}", target)


def _list_faults(value: Any, path: str, element: str, target: str) -> Iterator[Issue]:
    if not isinstance(value, list) or not value:
        yield Issue("structure", path, "must be a list with at least one item")
        return
    for index, item in enumerate(value):
        yield from _value_faults(item, f"{path}[{index}]", element, target)


def _value_faults(value: Any, path: str, element: str, target: str) -> Iterator[Issue]:
    base, _, referable = target.partition("(")
    if base == "any":
        return
    if base == "boolean":
        if not isinstance(value, bool):
            yield Issue("value", path, "must be true or false")
    elif base == "unsignedInt":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            yield Issue("value", path, "must be a whole number from 0 to 2147483647")
    elif base in _TEXT:
        if not isinstance(value, str) or not _TEXT[base].fullmatch(value):
            yield Issue("value", path, f"is not a valid {base}")
        elif element in CODES and value not in CODES[element]:
            yield Issue("code-invalid", path, f"{value!r} is not one of {', '.join(sorted(CODES[element]))}")
    elif not isinstance(value, dict) or not value:
        yield Issue("structure", path, f"must be an object ({base}) that is not empty")
    else:
        yield from _object_faults(value, path, base, ELEMENTS[base])
        if referable:
            yield from _target_faults(value, path, referable.rstrip(")").split("|"))


def _target_faults(reference: Mapping[str, Any], path: str, allowed: list[str]) -> Iterator[Issue]:
    """Patient/1 names its type, and so does `type`; #contained and absolute references are not judged."""
    literal = reference.get("reference")
    if isinstance(literal, str) and re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}", literal):
        named = literal.split("/")[0]
    else:
        named = str(reference.get("type", allowed[0]))
    if named not in allowed:
        yield Issue("value", path, f"refers to a {named}; allowed: {', '.join(allowed)}")
