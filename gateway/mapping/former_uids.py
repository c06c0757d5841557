"""The UIDs that a data set states to have had before: Original Attributes Sequence (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.mapping.elements import of_elements
from gateway.records.identifiers import looked_for
from gateway.records.moved_instance import MOST_FORMER, Former
from gateway.worklist.items import Decoded

ORIGINAL: Final = 0x04000561
"""Original Attributes Sequence."""
_MODIFIED: Final = 0x04000550
"""Modified Attributes Sequence, with the previous values."""
_UIDS: Final = {"StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E, "SOPInstanceUID": 0x00080018}


def former_uids(elements: Mapping[int, Decoded]) -> tuple[Former, ...]:
    """What was modified of the UIDs of study, series and instance: of each item of the sequence that states one, each
    set of UIDs once, at most `MOST_FORMER`."""
    original = elements.get(ORIGINAL)
    found = dict.fromkeys(_stated(original)) if original is not None else {}
    return tuple(found)[:MOST_FORMER]


def _stated(original: Decoded) -> Iterator[Former]:
    for one in original.items[:MOST_FORMER]:
        modified = one.get(_MODIFIED)
        for previous in modified.items[:MOST_FORMER] if modified is not None else ():
            uids = of_elements({tag: previous[tag] for tag in _UIDS.values() if tag in previous}, with_empty=False)
            # Under another VR than UI an attribute may hold items.
            stated = Former(*(looked_for(uid) if isinstance(uid := uids.get(name), str) else "" for name in _UIDS))
            if any(stated):
                yield stated
