"""ImagingStudy of R4 -> R5 (5.0.0): the same facts under the names and types of the later release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gateway.mapping.studies.base import V2_0203

Value = Any


def as_r5(resource: dict[str, Any]) -> dict[str, Any]:
    """`resource` for R5. An accession number that `basedOn` says is not repeated in `identifier`; interpreters are left
    to the DiagnosticReport."""
    study = _renamed(resource, _STUDY)
    ordered = [one.get("identifier") for one in resource.get("basedOn") or ()]
    if "identifier" in resource:
        study["identifier"] = [
            one for one in resource["identifier"] if not (_is_accession_number(one) and one in ordered)
        ]
    if "reasonCode" in resource or "reasonReference" in resource:
        study["reason"] = [
            *({"concept": one} for one in resource.get("reasonCode") or ()),
            *({"reference": one} for one in resource.get("reasonReference") or ()),
        ]
    if "series" in resource:
        study["series"] = [_renamed(one, _SERIES) for one in resource["series"]]
    if "contained" in resource:
        study["contained"] = [endpoint_as_r5(one) for one in resource["contained"]]
    return study


def endpoint_as_r5(endpoint: dict[str, Any]) -> dict[str, Any]:
    """An Endpoint of R4 for R5: several connection types, and payloads that hold type and format together."""
    changed = {key: one for key, one in endpoint.items() if key not in ("payloadType", "payloadMimeType")}
    changed["connectionType"] = [_concept(endpoint["connectionType"])]
    payload: dict[str, Any] = {"type": endpoint["payloadType"]} if endpoint.get("payloadType") else {}
    if endpoint.get("payloadMimeType"):
        payload["mimeType"] = endpoint["payloadMimeType"]
    return changed | ({"payload": [payload]} if payload else {})


def _is_accession_number(identifier: dict[str, Any]) -> bool:
    codings = (identifier.get("type") or {}).get("coding") or ()
    return any(one.get("system") == V2_0203 and one.get("code") == "ACSN" for one in codings)


def _renamed(element: dict[str, Any], table: dict[str, tuple[str, Callable[[Value], Value]] | None]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for key, value in element.items():
        if key not in table:
            changed[key] = value
        elif (rule := table[key]) is not None:
            changed[rule[0]] = rule[1](value)
    return changed


def _concept(coding: Value) -> Value:
    """A Coding as CodeableConcept; one without a code is a text."""
    return {"coding": [coding]} if coding.get("code") else {"text": coding["display"]}


def _concepts(codings: Value) -> Value:
    return [_concept(one) for one in codings]


_STUDY: Final[dict[str, tuple[str, Callable[[Value], Value]] | None]] = {
    "modality": ("modality", _concepts),
    "procedureCode": ("procedure", lambda concepts: [{"concept": one} for one in concepts]),
    "procedureReference": ("partOf", lambda reference: [reference]),
    "interpreter": None,
    "reasonCode": None,
    "reasonReference": None,
}
"""Element of R4 -> element of R5 and how its value changes; None: gone, or moved by `as_r5`."""
_SERIES: Final[dict[str, tuple[str, Callable[[Value], Value]] | None]] = {
    "modality": ("modality", _concept),
    "bodySite": ("bodySite", lambda coding: {"concept": _concept(coding)}),
    "laterality": ("laterality", _concept),
}


def name_in_r5(element: str, level: str) -> str:
    """The element of R5 for one of R4 at a level (`study`, `series`, `instance`); empty where R5 has none."""
    if element in _REASONS:
        return "reason"
    table = {"study": _STUDY, "series": _SERIES}.get(level, {})
    rule = table.get(element, (element, _concept))
    return "" if rule is None else rule[0]


_REASONS: Final = ("reasonCode", "reasonReference")
