"""The identifier of a query (PS3.7 9.1.2) and the attributes of an N-CREATE or N-SET, decoded at once into texts.

A pydicom data set is made for whoever edits images, and reading an identifier into one takes longer than the query
itself; a key of a query is no more than a tag, a VR and its values.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.dicom_encoding import ITEM, ITEM_END, MAX_DEPTH, OF_UNKNOWN, SEQUENCE_END, UNDEFINED, Encoding, tag_name
from gateway.errors import Malformed
from gateway.long_work import pause
from gateway.wire.dimse.course import NO_LIMITS, OF_QUERIES, OF_STATEMENTS, Course, Limits
from gateway.wire.dimse.elements import (
    BEGIN_EXPLICIT,
    BEGIN_IMPLICIT,
    CHARACTER_SET,
    OUTSIDE_DATA_SETS,
    EncodedElement,
    coding_at,
    coding_of,
    dictionary_vr,
    element_at,
    value_end,
)
from gateway.wire.dimse.text import ASCII, TEXT_VRS, CharacterSet

PADDING: Final = " \0"
"""Not significant at the ends of a value (PS3.5 6.2)."""
_ONE_VALUE: Final = frozenset({"LT", "ST", "UT", "UR"})
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_PLAIN: Final = {vr.encode(): vr for vr in ("AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UI")}
"""Value representations whose text needs no look if it is one value of ASCII; as they stand in explicit VR."""
_AT_ONCE: Final = 32
"""So many elements are read between two pauses of long work."""
_FOREIGN: Final = 0xFFFE0000
"""From here on elements are none of a data set."""
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
"""VR -> the format of one value (`struct`)."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""Of IS and DS (PS3.5 Table 6.2-1), where Python reads `nan`, `1_000` and digits of other scripts too."""


class Key(NamedTuple):
    """One attribute of an identifier."""

    tag: int
    vr: str
    values: tuple[str, ...]
    """Without padding; () for a key without a value."""
    items: tuple[Identifier, ...] = ()
    """Of a sequence."""


Identifier = Mapping[int, Key]
"""Keys by tag, without group lengths and strays of the command set or the file meta group."""


def decode(data: bytes, transfer_syntax_uid: str, limits: Limits = OF_QUERIES) -> Identifier:
    """The keys of an encoded identifier that is not deflated. Raises `Malformed` with the tag of what cannot be read,
    nested elements and numbers included, and `TooLarge` with the tag at which a limit is passed. Each byte is walked
    over once, however deep its item."""
    keys, faults = decode_readable(data, transfer_syntax_uid, limits)
    if faults:
        raise faults[0]
    return keys


def decode_readable(
    data: bytes, transfer_syntax_uid: str, limits: Limits = OF_STATEMENTS
) -> tuple[Identifier, list[Malformed]]:
    """The same, where a number that cannot be read is a key without a value, and what is wrong with those. Raises
    `Malformed` for bytes that are no elements."""
    keys: dict[int, Key] = {}
    course = Course(limits, CharacterSet.of)
    coding = coding_of(data, transfer_syntax_uid)
    at, text = 0, ASCII
    while (at := _add_plain(keys, data, at, len(data), coding, course)) < len(data):
        element = element_at(data, at, len(data), coding)
        at, text = _add(keys, data, element, len(data), coding, text, 1, course)
    return keys, course.faults


def decode_selected(
    elements: bytes, coding: Encoding, *, keeps_bytes: bool = False
) -> tuple[Identifier, list[Malformed]]:
    """The same, of elements that were cut out of a data set with `coding`, however many there are. An element whose
    items cannot be read is left out, and text in an undefined character set is read as well as can be.

    `keeps_bytes`: binary values have their bytes, each as the character of ISO 8859-1 with its number."""
    keys: dict[int, Key] = {}
    course = Course(NO_LIMITS, CharacterSet.likely, keeps_bytes=keeps_bytes)
    at, text = 0, ASCII
    while at < len(elements):
        element = element_at(elements, at, len(elements), coding)
        try:
            at, text = _add(keys, elements, element, len(elements), coding, text, 1, course)
        except Malformed as fault:
            course.faults.append(fault)
            at = value_end(elements, element, len(elements), coding, None)
    return keys, course.faults


def _add_plain(keys: dict[int, Key], data: bytes, at: int, end: int, coding: Encoding, course: Course) -> int:
    """Add elements from `at` on that `_add` would add too, up to the first that wants a look at more than its value, or
    is cut off; where that begins. Most are one text of ASCII."""
    pause()
    done = valued = 0
    most = min(_AT_ONCE, course.elements, course.values)
    is_implicit = coding.implicit
    begin = BEGIN_IMPLICIT[coding.little] if is_implicit else BEGIN_EXPLICIT[coding.little]
    while done < most and end - at >= 8:
        if is_implicit:
            group, number, length = begin(data, at)
            vr = _plain_vr(group << 16 | number)
        else:
            group, number, letters, length = begin(data, at)
            vr = _PLAIN.get(letters)
        after, tag = at + 8 + length, group << 16 | number
        if vr is None or after > end or not number or not CHARACTER_SET < tag < _FOREIGN:
            break
        raw = data[at + 8 : after]
        if not raw:
            keys[tag] = Key(tag, vr, ())
        elif raw.isascii() and b"\\" not in raw and b"\x1b" not in raw:
            keys[tag] = Key(tag, vr, (raw.decode("ascii").strip(PADDING),))
            valued += 1
        else:
            break
        done, at = done + 1, after
    course.elements -= done
    course.values -= valued
    return at


@lru_cache(maxsize=4096)
def _plain_vr(tag: int) -> str | None:
    vr = dictionary_vr(tag)
    return vr if vr in _PLAIN.values() else None


def _add(
    keys: dict[int, Key],
    data: bytes,
    element: EncodedElement,
    end: int,
    coding: Encoding,
    text: CharacterSet,
    depth: int,
    course: Course,
) -> tuple[int, CharacterSet]:
    """Where the element ends, and the character set behind it."""
    course.take(element.tag)
    vr = element.vr if element.vr not in ("", "UN") else dictionary_vr(element.tag)
    if vr == "SQ" or (vr == "UN" and element.length == UNDEFINED):
        items, after = _items(data, element, end, coding, text, depth, course)
        key = Key(element.tag, "SQ", (), items)
    else:
        after = value_end(data, element, end, coding, depth)
        try:
            key = Key(element.tag, vr, _values(data[element.at : after], element.tag, vr, coding, text, course))
        except Malformed as fault:
            course.faults.append(fault)
            key = Key(element.tag, vr, ())
    if element.tag == CHARACTER_SET:
        text = course.character_set(key.values)
    if element.tag & 0xFFFF and element.tag >> 16 > OUTSIDE_DATA_SETS:
        keys[element.tag] = key
    return after, text


def _items(
    data: bytes,
    element: EncodedElement,
    end: int,
    coding: Encoding,
    text: CharacterSet,
    depth: int,
    course: Course,
) -> tuple[tuple[Identifier, ...], int]:
    """The items of a sequence, and where it ends."""
    if depth > MAX_DEPTH:
        raise Malformed(f"sequences nest deeper than {MAX_DEPTH}", place=tag_name(element.tag))
    is_open = element.length == UNDEFINED
    end = end if is_open else element.at + element.length
    # Some writers leave the items of a UN explicit.
    inside = OF_UNKNOWN if element.vr == "UN" and (is_open or not coding.little) else coding
    items: list[Identifier] = []
    at = element.at
    while is_open or at < end:
        if end - at < 8:
            raise Malformed("the sequence is cut off", place=tag_name(element.tag))
        group, number, length = BEGIN_IMPLICIT[inside.little](data, at)
        tag, at = group << 16 | number, at + 8
        if tag == SEQUENCE_END and (is_open or at == end):
            break
        if tag != ITEM or (length != UNDEFINED and at + length > end):
            raise Malformed(f"{tag_name(tag)} of {length} bytes is no item", place=tag_name(element.tag))
        last = end if length == UNDEFINED else at + length
        keys, at = _item(data, element.tag, at, last, inside, text, depth, course)
        items.append(keys)
    return tuple(items), at


def _item(
    data: bytes,
    parent: int,
    at: int,
    end: int,
    coding: Encoding,
    text: CharacterSet,
    depth: int,
    course: Course,
) -> tuple[Identifier, int]:
    """The keys of an item, and where it ends: at its delimiter, which only an item of undefined length has, or at
    `end`."""
    course.take(parent)
    keys: dict[int, Key] = {}
    coding = coding_at(data, at, coding)
    while (at := _add_plain(keys, data, at, end, coding, course)) < end:
        if end - at < 8:
            raise Malformed("an item is cut off", place=tag_name(parent))
        group, number, _ = BEGIN_IMPLICIT[coding.little](data, at)
        if group << 16 | number == ITEM_END:
            return keys, at + 8
        inside = coding_at(data, at, coding)
        at, text = _add(keys, data, element_at(data, at, end, inside), end, inside, text, depth + 1, course)
    return keys, at


def _values(raw: bytes, tag: int, vr: str, coding: Encoding, text: CharacterSet, course: Course) -> tuple[str, ...]:
    if not raw:
        return ()
    if vr in _NUMBERS:
        course.take_values(tag, raw, struct.calcsize(coding.mark + _NUMBERS[vr]))
        return tuple(_numbers(raw, tag, coding.mark + _NUMBERS[vr]))
    if vr in _BYTES and course.keeps_bytes:
        return (raw.decode("latin_1"),) if coding.little or vr == "OB" else ()
    if vr in _BYTES:
        return (raw.decode("latin_1").strip(PADDING),)
    if vr not in _ONE_VALUE:
        course.take_values(tag, raw, 0)
    written = text if vr in TEXT_VRS else ASCII
    values = tuple(value.strip(PADDING) for value in written.decoded(raw, vr, single=vr in _ONE_VALUE))
    if vr in ("IS", "DS"):
        _check_numbers(values, tag)
    return values


def _numbers(raw: bytes, tag: int, form: str) -> Iterator[str]:
    if len(raw) % struct.calcsize(form):
        raise Malformed(f"{len(raw)} bytes are no whole number of values", place=tag_name(tag))
    for value in struct.iter_unpack(form, raw):
        yield str(value[0]) if len(value) == 1 else "({:04X},{:04X})".format(*value)


def _check_numbers(values: tuple[str, ...], tag: int) -> None:
    if not all(map(_NUMBER.fullmatch, filter(None, values))):
        raise Malformed("unreadable value (no number)", place=tag_name(tag))
