"""The encoded elements of a file, walked over without decoding a value (PS3.5 7.1, 7.5, Annex A)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.dicom_encoding import (
    FRAGMENT_VRS,
    ITEM,
    ITEM_END,
    LONG_VRS,
    MAX_DEPTH,
    OF_UNKNOWN,
    SEQUENCE_END,
    UNDEFINED,
    VRS,
    Encoded,
    Encoding,
    is_followed,
    tag_name,
)
from gateway.pixels.faults import BrokenPixels

_MOST_MAPPED: Final = 64 << 20
"""Bytes of frames that are walked over before their pages are given back: they would count as memory of the process."""


class Element(NamedTuple):
    tag: int
    vr: str
    """As sent; empty in implicit VR, and where PS3.5 has none of this name."""
    length: int
    start: int
    """Offset of the tag."""
    at: int
    """Offset of the value."""

    @property
    def holds_fragments(self) -> bool:
        """Encapsulated frames, not items (PS3.5 A.4), also in an icon or a private thumbnail."""
        return self.length == UNDEFINED and (self.vr in FRAGMENT_VRS or self.tag == 0x7FE00010)

    @property
    def holds_items(self) -> bool:
        """Items whose end is known from themselves alone, or that are stated to be items."""
        return self.vr == "SQ" or (self.length == UNDEFINED and not self.holds_fragments)


class Item(NamedTuple):
    at: int
    end: int
    encoding: Encoding


def tag_at(data: Encoded, at: int, encoding: Encoding) -> int:
    """The tag that stands at `at`."""
    group, number = struct.unpack_from(encoding.mark + "HH", data, at)
    return int(group << 16 | number)


def element_at(data: Encoded, at: int, end: int, encoding: Encoding) -> Element:
    """The element that begins at `at`; raises `BrokenPixels` if it does not fit before `end`."""
    if end - at < 8:
        raise BrokenPixels(f"{end - at} bytes left where an element should begin", place="data set")
    tag = tag_at(data, at, encoding)
    if encoding.implicit:
        (length,) = struct.unpack_from(encoding.mark + "L", data, at + 4)
        element = Element(tag, "", length, at, at + 8)
    else:
        element = _explicit(data, at, end, encoding, tag)
    if element.length != UNDEFINED and element.at + element.length > end:
        raise BrokenPixels(f"{element.length} bytes announced, {end - element.at} there", place=tag_name(tag))
    return element


def _explicit(data: Encoded, at: int, end: int, encoding: Encoding, tag: int) -> Element:
    vr = VRS.get(data[at + 4 : at + 6], "")
    if not vr and not is_followed(data, at, end, encoding, tag):
        raise BrokenPixels("the element has no value representation that PS3.5 knows", place=tag_name(tag))
    if vr not in LONG_VRS:
        return Element(tag, vr, struct.unpack_from(encoding.mark + "H", data, at + 6)[0], at, at + 8)
    if end - at < 12:
        raise BrokenPixels("the element is cut off", place=tag_name(tag))
    return Element(tag, vr, struct.unpack_from(encoding.mark + "L", data, at + 8)[0], at, at + 12)


def elements_of(data: Encoded, at: int, end: int, encoding: Encoding) -> Iterator[Element]:
    """The elements of one level, in their order."""
    while at < end:
        element = element_at(data, at, end, encoding)
        yield element
        at = end_of(data, element, end, encoding)


def end_of(data: Encoded, element: Element, end: int, encoding: Encoding, depth: int = 1) -> int:
    """The offset after the element, delimiters and all."""
    if element.length != UNDEFINED:
        return element.at + element.length
    after = element.at
    for item in items_of(data, element, end, encoding, depth):
        after = item.end + (0 if element.holds_fragments else _delimiter(data, item, encoding))
    return after + 8


def _delimiter(data: Encoded, item: Item, encoding: Encoding) -> int:
    """The bytes of the Item Delimitation Item, which ends an item of undefined length alone."""
    (length,) = struct.unpack_from(encoding.mark + "L", data, item.at - 4)
    return 8 if length == UNDEFINED else 0


def items_of(data: Encoded, element: Element, end: int, encoding: Encoding, depth: int = 1) -> Iterator[Item]:
    """The items of a sequence, or the fragments of encapsulated frames (PS3.5 7.5, A.4)."""
    if depth > MAX_DEPTH:
        raise BrokenPixels(f"sequences nest deeper than {MAX_DEPTH}", place=tag_name(element.tag))
    inside = OF_UNKNOWN if element.vr == "UN" else encoding
    last = end if element.length == UNDEFINED else element.at + element.length
    at = forgotten = element.at
    while at < last or element.length == UNDEFINED:
        if last - at < 8:
            raise BrokenPixels("the sequence is cut off", place=tag_name(element.tag))
        group, number, length = struct.unpack_from(inside.mark + "HHL", data, at)
        tag, at = group << 16 | number, at + 8
        if tag == SEQUENCE_END:
            return
        if tag != ITEM or (length == UNDEFINED and element.holds_fragments):
            raise BrokenPixels(f"{tag_name(tag)} where an item should begin", place=tag_name(element.tag))
        coding = inside if element.holds_fragments else coding_at(data, at, inside)
        until = _item_end(data, at, last, coding, depth) if length == UNDEFINED else at + length
        if until > last:
            raise BrokenPixels(f"an item of {length} bytes is cut off", place=tag_name(element.tag))
        yield Item(at, until, coding)
        at = until + (8 if length == UNDEFINED else 0)
        if element.holds_fragments and at - forgotten > _MOST_MAPPED and isinstance(data, mmap.mmap):
            data.madvise(mmap.MADV_DONTNEED)
            forgotten = at


def _item_end(data: Encoded, at: int, end: int, encoding: Encoding, depth: int) -> int:
    while True:
        if end - at < 8:
            raise BrokenPixels("an item is cut off", place="data set")
        if tag_at(data, at, encoding) == ITEM_END:
            return at
        element = element_at(data, at, end, encoding)
        at = end_of(data, element, end, encoding, depth + 1)


def coding_at(data: Encoded, at: int, encoding: Encoding) -> Encoding:
    """Some writers state explicit VR and write implicit VR, also in items alone; pydicom reads it, and so do we."""
    two = data[at + 4 : at + 6]
    if encoding.implicit or two in VRS or data[at : at + 4] == struct.pack(encoding.mark + "HH", 0xFFFE, 0xE00D):
        return encoding
    return Encoding(implicit=True, little=encoding.little)
