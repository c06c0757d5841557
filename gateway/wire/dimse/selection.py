"""Single elements of an encoded header, cut out so that nothing else is decoded.

An enhanced multi-frame object describes each of its frames (PS3.3 C.7.6.16): to decode 10,000 of them takes half a
minute. Of its frames only what they show is cut out, the Frame Anatomy Sequences (C.7.6.16.2.8), equal ones once.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

from gateway.dicom_encoding import ITEM, OF_UNKNOWN, UNDEFINED, Encoding
from gateway.errors import Malformed
from gateway.wire.dimse.elements import CHARACTER_SET, EncodedElement, effective_vr, element_at, past_plain, value_end

PER_FRAME_GROUPS: Final = 0x52009230
FRAME_ANATOMY: Final = 0x00209071


def selected(header: bytes, coding: Encoding, wanted: Collection[int], faults: list[Malformed] | None = None) -> bytes:
    """Specific Character Set, wherever it stands, and the elements of the top level with `wanted` tags, encoded as they
    came.

    Of a wanted Per-frame Functional Groups Sequence an item for each distinct Frame Anatomy Sequence is left. One of
    undefined length ends the search: only waveforms and signatures stand behind it. Raises `Malformed` for a fault in
    the structure of the top level or of a wanted element; the latter is left out and added to `faults`, where given.
    """
    kept: list[bytes] = []
    character_set = b""
    at, end = 0, len(header)
    stops = {*wanted, CHARACTER_SET}
    while (at := past_plain(header, at, end, coding, stops)) < end:
        element = element_at(header, at, end, coding)
        is_wanted = element.tag in stops
        if element.tag == PER_FRAME_GROUPS and (coding.implicit or element.vr in ("SQ", "UN")):
            if is_wanted:
                kept.append(_frame_anatomies(header, at, element, coding))
            if element.length == UNDEFINED:
                break
            at = element.at + element.length
            continue
        after = value_end(header, element, end, coding, None)
        if element.tag == CHARACTER_SET:
            character_set = header[at:after]
        elif is_wanted and _is_sound(header, element, end, coding, faults):
            kept.append(header[at:after])
        at = after
    return b"".join([character_set, *kept])


def _is_sound(
    header: bytes, element: EncodedElement, end: int, coding: Encoding, faults: list[Malformed] | None
) -> bool:
    """Whether the items of an element are whole."""
    try:
        value_end(header, element, end, coding, 1)
    except Malformed as error:
        if faults is None:
            raise
        faults.append(error)
        return False
    return True


def _frame_anatomies(header: bytes, at: int, groups: EncodedElement, coding: Encoding) -> bytes:
    """The Per-frame Functional Groups Sequence that begins at `at`, with distinct items of Frame Anatomy alone."""
    end = len(header) if groups.length == UNDEFINED else groups.at + groups.length
    inside = OF_UNKNOWN if groups.vr == "UN" else coding
    items = b"".join(_item(one, inside) for one in _distinct(header, groups.at, end, inside))
    start = header[at : groups.at - 4]
    return start + struct.pack(coding.mark + "L", len(items)) + items


def _item(content: bytes, coding: Encoding) -> bytes:
    return struct.pack(coding.mark + "HHL", ITEM >> 16, ITEM & 0xFFFF, len(content)) + content


def _distinct(header: bytes, at: int, end: int, coding: Encoding) -> list[bytes]:
    """The Frame Anatomy Sequences between two offsets, each distinct encoding once, in the order of the frames.

    They are looked for by their tag: a walk over all elements of 10,000 frames takes a second, and most show the same.
    """
    mark = struct.pack(coding.mark + "HH", FRAME_ANATOMY >> 16, FRAME_ANATOMY & 0xFFFF)
    distinct: dict[bytes, None] = {}
    last = b""
    at = header.find(mark, at, end)
    while at >= 0:
        if not last or not header.startswith(last, at):
            last = _sequence_at(header, at, end, coding)
            if last:
                distinct[last] = None
        at = header.find(mark, at + (len(last) or len(mark)), end)
    return list(distinct)


def _sequence_at(header: bytes, at: int, end: int, coding: Encoding) -> bytes:
    """The encoded sequence that begins at `at`; empty for bytes that only look like its tag."""
    try:
        element = element_at(header, at, end, coding)
        if effective_vr(element) not in ("SQ", "UN"):
            return b""
        return header[at : value_end(header, element, end, coding, 1)]
    except Malformed:
        return b""
