"""What the images of a study state, as it is compared with an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.records.agreement import SIDES
from gateway.records.order import Attributes
from gateway.records.order_check import Side
from gateway.records.patient import Identity

_NOT_ACQUIRED: Final = frozenset({
    "SR", "PR", "KO", "SEG", "DOC", "OT", "RWV", "REG", "FID", "PLAN", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "AU",
    "ANN", "M3D", "SMR", "TEXTUREMAP", "HC",
})  # fmt: skip
"""Modalities of what is made of images or documents: it is no other examination."""
_CODED_SIDES: Final = {
    "G-A100": "R", "G-A101": "L", "24028007": "R", "7771000": "L",
}  # fmt: skip
"""Right and left of Anatomic Region Modifiers (CID 244), in SRT and SCT."""


def images_side(study: Attributes, series: Iterable[Attributes], patient: Identity) -> Side:
    """`study`: attributes of study and patient; `series`: of each; `patient`: under today's identity."""
    every = list(series)
    return Side(
        patient=patient,
        name=_text(study, "PatientName"),
        birth_date=_text(study, "PatientBirthDate"),
        sex=_text(study, "PatientSex"),
        sides=frozenset(side for one in every for side in _sides(one)),
        modalities=frozenset(_text(one, "Modality").upper() for one in every) - _NOT_ACQUIRED - {""},
    )


def _sides(attributes: Attributes) -> Iterator[str]:
    for keyword in SIDES:
        if (letter := _text(attributes, keyword).upper()[:1]) in ("L", "R"):
            yield letter
    for item in attributes.get("AnatomicRegionModifierSequence") or ():
        if isinstance(item, dict) and (side := _CODED_SIDES.get(str(item.get("CodeValue") or ""))):
            yield side


def _text(attributes: Attributes, keyword: str) -> str:
    value: Any = attributes.get(keyword)
    value = value[0] if isinstance(value, list) and value else value
    return str(value).strip() if value else ""
