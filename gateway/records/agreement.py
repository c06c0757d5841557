"""What the instances of a study or series say together: one result, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.records.order import Attributes

Sources = dict[str, str]
"""Keyword -> the SOP Instance UID of the instance whose value counts; `CONTESTED` where the instances disagree."""
CONTESTED: Final = ""
MUST_AGREE: Final = frozenset({"Laterality", "ImageLaterality"})
"""Attributes of which a series says nothing when its instances differ: the left side is not the right one."""


def agreed(
    held: Attributes, sources: Mapping[str, str], stated: Attributes, sop_uid: str
) -> tuple[Attributes, Sources]:
    """`held` after an instance with the values `stated`.

    Of each attribute the value of the instance with the lowest SOP Instance UID counts; sent again with other contents,
    that instance corrects the attribute.
    """
    attributes, counting = dict(held), dict(sources)
    for keyword, value in stated.items():
        source = counting.get(keyword)
        is_others = keyword in MUST_AGREE and source not in (None, sop_uid)
        if is_others and (source == CONTESTED or attributes.get(keyword) != value):
            attributes.pop(keyword, None)
            counting[keyword] = CONTESTED
        elif source is None or sop_uid <= source:
            attributes[keyword], counting[keyword] = value, sop_uid
    return attributes, counting


def together(stated: Iterable[tuple[str, Attributes]]) -> tuple[Attributes, Sources]:
    """What instances give together: (SOP Instance UID, its values) of each."""
    attributes: Attributes = {}
    sources: Sources = {}
    for sop_uid, values in stated:
        attributes, sources = agreed(attributes, sources, values, sop_uid)
    return attributes, sources
