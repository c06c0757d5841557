"""What an image says of anatomy and side, wherever it says so, under one keyword each.

An enhanced multi-frame object says it of its frames: in the Frame Anatomy Sequence (PS3.3 C.7.6.16.2.8) of the Shared
Functional Groups Sequence, or else of each item of the Per-frame Functional Groups Sequence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from gateway.records.order import Attributes

ANATOMY: Final = "FrameAnatomySequence"
SIDE: Final = "FrameLaterality"
MODIFIERS: Final = "AnatomicRegionModifierSequence"
_GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_REGIONS: Final = {
    "AnatomicRegionSequence": "AnatomicRegionModifierSequence",
    "PrimaryAnatomicStructureSequence": "PrimaryAnatomicStructureModifierSequence",
}
"""Sequence of an anatomic code -> the sequence in its items that modifies the code (PS3.3 10.5)."""
GATHERED: Final = frozenset({ANATOMY, SIDE, MODIFIERS})
"""Attributes that `gathered` gives, which do not stand at the top level of a data set."""


Holder = Dataset | Mapping[str, Any]
"""Elements of a data set or item: of pydicom, or `Attributes`."""


def read_for(keywords: Collection[str]) -> frozenset[str]:
    """The attributes of the top level that must be read to have those named in `keywords`."""
    asked = frozenset(keywords)
    return asked.union(_GROUPS, _REGIONS) if asked & GATHERED else asked


def tags_for(keywords: Collection[str]) -> frozenset[int]:
    """The tags of `read_for`."""
    return frozenset(tag for keyword in read_for(keywords) if (tag := tag_for_keyword(keyword)) is not None)


def gathered(dataset: Holder, plain: Callable[[Any], Attributes]) -> Attributes:
    """`ANATOMY` of the first frame that has it, `SIDE` and `MODIFIERS` of all frames; `plain` reads an item.

    Frames that show different sides give a list of all, which is no side.
    """
    anatomies = [plain(one) for one in _frame_anatomies(dataset)]
    sides = sorted({str(one[SIDE]) for one in anatomies if one.get(SIDE)})
    top = _regions(dataset, plain)
    modifiers = _distinct(item for holder in (top, *anatomies) for item in _modifiers(holder))
    stated: dict[str, Any] = {
        ANATOMY: anatomies[:1],
        SIDE: sides[0] if len(sides) == 1 else sides,
        MODIFIERS: modifiers,
    }
    return {keyword: value for keyword, value in stated.items() if value}


def _regions(dataset: Holder, plain: Callable[[Any], Attributes]) -> Attributes:
    """The coded anatomy of the top level."""
    return {keyword: [plain(item) for item in _items(dataset, keyword)] for keyword in _REGIONS}


def _frame_anatomies(dataset: Holder) -> list[Holder]:
    for groups in _GROUPS:
        stated = [anatomy for group in _items(dataset, groups) for anatomy in _items(group, ANATOMY)]
        if stated:
            return stated
    return []


def held(dataset: Holder, key: Any) -> Any:
    """`dataset.get(key)`, and None for what cannot be read: pydicom reads a value when it is asked for, and has many
    ways of failing at it."""
    try:
        return dataset.get(key)
    except Exception:
        return None


def _items(dataset: Holder, keyword: str) -> Iterable[Holder]:
    value = held(dataset, keyword)
    # An element of another VR than the dictionary's holds no items.
    return [one for one in value if isinstance(one, (Dataset, dict))] if isinstance(value, Iterable) else ()


def _modifiers(holder: Attributes) -> Iterable[Attributes]:
    for region, modifiers in _REGIONS.items():
        for item in _dicts(holder.get(region)):
            yield from _dicts(item.get(modifiers))


def _dicts(value: Any) -> Iterable[Attributes]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else ()


def _distinct(items: Iterable[Attributes]) -> list[Attributes]:
    # By their text: a header of 2 MB may hold a hundred thousand, each of which would be compared with all before.
    kept: dict[str, Attributes] = {}
    for item in items:
        kept.setdefault(json.dumps(item, sort_keys=True), item)
    return list(kept.values())
