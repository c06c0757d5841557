"""The identifier of a query (PS3.7 9.1.2), decoded at once into the texts that a worklist compares.

A pydicom data set is made for whoever edits images, and reading an identifier into one takes longer than the query
itself; a key of a query is no more than a tag, a VR and its values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gateway.errors import Malformed
from gateway.wire.dimse.elements import (
    UNDEFINED,
    EncodedElement,
    Encoding,
    coding_of,
    dictionary_vr,
    elements_of,
    items_of,
    tag_name,
    value_end,
)
from gateway.wire.dimse.text import ASCII, TEXT_VRS, CharacterSet

PADDING: Final = " \0"
"""Not significant at the ends of a value (PS3.5 6.2)."""
_CHARACTER_SET: Final = 0x00080005
_OUTSIDE_DATA_SETS: Final = 0x0007
_ONE_VALUE: Final = frozenset({"LT", "ST", "UT", "UR"})
_BYTES: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d", "AT": "HH"}
"""VR -> the format of one value (`struct`)."""


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


def decode(data: bytes, transfer_syntax_uid: str) -> Identifier:
    """The keys of an encoded identifier that is not deflated. Raises `Malformed` with the tag of what cannot be read,
    nested elements and numbers included."""
    return _decoded(data, 0, len(data), coding_of(data, transfer_syntax_uid), ASCII, 1)


def _decoded(data: bytes, at: int, end: int, coding: Encoding, around: CharacterSet, depth: int) -> dict[int, Key]:
    """`around`: the character set of the data set that an item is in."""
    keys: dict[int, Key] = {}
    text = around
    for element in elements_of(data, at, end, coding):
        vr = element.vr if element.vr not in ("", "UN") else dictionary_vr(element.tag)
        value_end(data, element, end, coding, depth)
        if vr == "SQ" or (vr == "UN" and element.length == UNDEFINED):
            items = items_of(data, element, end, coding)
            key = Key(element.tag, "SQ", (), tuple(_decoded(data, *item, text, depth + 1) for item in items))
        else:
            key = Key(element.tag, vr, _values(data, element, vr, coding, text))
        if element.tag == _CHARACTER_SET:
            text = CharacterSet.of(key.values)
        if element.tag & 0xFFFF and element.tag >> 16 > _OUTSIDE_DATA_SETS:
            keys[element.tag] = key
    return keys


def _values(data: bytes, element: EncodedElement, vr: str, coding: Encoding, text: CharacterSet) -> tuple[str, ...]:
    raw = data[element.at : element.at + element.length]
    if not raw:
        return ()
    if vr in _NUMBERS:
        return tuple(_numbers(raw, element.tag, coding.mark + _NUMBERS[vr]))
    if vr in _BYTES:
        return (raw.decode("latin_1").strip(PADDING),)
    written = text if vr in TEXT_VRS else ASCII
    values = tuple(value.strip(PADDING) for value in written.decoded(raw, vr, single=vr in _ONE_VALUE))
    if vr in ("IS", "DS"):
        _check_numbers(values, element.tag)
    return values


def _numbers(raw: bytes, tag: int, form: str) -> Iterator[str]:
    if len(raw) % struct.calcsize(form):
        raise Malformed(f"{len(raw)} bytes are no whole number of values", place=tag_name(tag))
    for value in struct.iter_unpack(form, raw):
        yield str(value[0]) if len(value) == 1 else "({:04X},{:04X})".format(*value)


def _check_numbers(values: tuple[str, ...], tag: int) -> None:
    try:
        for value in filter(None, values):
            float(value)
    except ValueError:
        raise Malformed("unreadable value (no number)", place=tag_name(tag)) from None
