"""What the instances of a study or series say together: one result, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.records.identifiers import SOPInstanceUID
from gateway.records.order import Attributes

Sources = dict[str, str]
"""Keyword -> the SOP Instance UID of the instance whose value counts; `CONTESTED` where the instances disagree."""
CONTESTED: Final = ""
SIDES: Final = ("Laterality", "ImageLaterality", "FrameLaterality", "MeasurementLaterality")
"""Attributes that name the side, in objects of different kinds; of an instance with several the first counts."""
MUST_AGREE: Final = (SIDES, ("AnatomicRegionModifierSequence",))
"""Groups of attributes of which a series says nothing when its instances differ: the left side is not the right one."""


def agreed(
    held: Attributes, sources: Mapping[str, str], stated: Attributes, sop_uid: SOPInstanceUID
) -> tuple[Attributes, Sources]:
    """`held` after an instance with the values `stated`.

    Of each attribute the value of the instance with the lowest SOP Instance UID counts; sent again with other contents,
    that instance corrects the attribute.
    """
    attributes, counting = dict(held), dict(sources)
    for group in MUST_AGREE:
        if _is_contested(group, attributes, counting, stated, sop_uid):
            for keyword in group:
                attributes.pop(keyword, None)
                counting[keyword] = CONTESTED
    for keyword, value in stated.items():
        source = counting.get(keyword)
        if source is None or sop_uid <= source:
            attributes[keyword], counting[keyword] = value, sop_uid
    return attributes, counting


def _is_contested(
    group: tuple[str, ...], held: Attributes, sources: Mapping[str, str], stated: Attributes, sop_uid: SOPInstanceUID
) -> bool:
    """Whether instances give the attributes of a group different values, whichever attribute each of them uses."""
    named = next((keyword for keyword in group if keyword in stated), None)
    before = next((keyword for keyword in group if keyword in held), None)
    if any(sources.get(keyword) == CONTESTED for keyword in group):
        return True
    if named is None or before is None or sources.get(before) == sop_uid:
        return False
    return bool(stated[named] != held[before])


def together(stated: Iterable[tuple[SOPInstanceUID, Attributes]]) -> tuple[Attributes, Sources]:
    """What instances give together: (SOP Instance UID, its values) of each."""
    attributes: Attributes = {}
    sources: Sources = {}
    for sop_uid, values in stated:
        attributes, sources = agreed(attributes, sources, values, sop_uid)
    return attributes, sources
