"""What the images of a study state, as it is compared with an order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.records.order import Attributes
from gateway.records.order_check import Side
from gateway.records.patient import Identity
from gateway.records.performed_step import items_of, text_of

_NOT_ACQUIRED: Final = frozenset({
    "SR", "PR", "KO", "SEG", "DOC", "OT", "RWV", "REG", "FID", "PLAN", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "AU",
    "ANN", "M3D", "SMR", "TEXTUREMAP", "HC",
})  # fmt: skip
"""Modalities of what is made of images or documents: it is no other examination."""
SIDES: Final = ("Laterality", "ImageLaterality", "FrameLaterality", "MeasurementLaterality")
"""Attributes that name the side, in objects of different kinds."""
_CODED_SIDES: Final = {
    "G-A100": "R", "G-A101": "L", "24028007": "R", "7771000": "L",
}  # fmt: skip
"""Right and left of Anatomic Region Modifiers (CID 244), in SRT and SCT."""


def images_side(study: Attributes, series: Iterable[Attributes], patient: Identity) -> Side:
    """`study`: attributes of study and patient; `series`: of each; `patient`: under today's identity."""
    every = list(series)
    return Side(
        patient=patient,
        name=text_of(study.get("PatientName")),
        birth_date=text_of(study.get("PatientBirthDate")),
        sex=text_of(study.get("PatientSex")),
        sides=frozenset(side for one in every for side in _sides(one)),
        modalities=frozenset(text_of(one.get("Modality")).upper() for one in every) - _NOT_ACQUIRED - {""},
    )


def _sides(attributes: Attributes) -> Iterator[str]:
    for keyword in SIDES:
        if (letter := text_of(attributes.get(keyword)).upper()[:1]) in ("L", "R"):
            yield letter
    for item in items_of(attributes.get("AnatomicRegionModifierSequence")):
        if side := _CODED_SIDES.get(str(item.get("CodeValue") or "")):
            yield side
