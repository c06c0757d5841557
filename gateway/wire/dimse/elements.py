"""The encoded elements of a data set, walked over without decoding a value (PS3.5 7.1, 7.5, Annex A)."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.tag import BaseTag

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
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
    encoding_of,
    is_followed,
    tag_name,
)
from gateway.errors import Malformed

DEFLATED = frozenset(
    {
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian (PS3.5 A.5)
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate (A.7)
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate (A.9)
    }
)
"""Transfer syntaxes whose whole data set is deflated. Deflated Image Frame Compression deflates frames
only."""

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and (integer or encapsulated) Pixel Data (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25)."""

CHARACTER_SET = 0x00080005
"""Specific Character Set."""

OUTSIDE_DATA_SETS = 0x0007
"""Groups up to this one are of command sets, file meta information and directories (PS3.5 7.1)."""

_FOREIGN_GROUPS = frozenset({0xFFFE, 0xFFFF})
"""Item delimiters: PS3.5 7.1 keeps them out of a data set's own level. Elements of the command set (0000) and of File
Meta Information (0002) do not belong there either, but some writers leave them in."""

_ODD_GROUPS = _FOREIGN_GROUPS | {0x0000, 0x7FE0}
_PLAIN_VRS = frozenset(letters for letters, vr in VRS.items() if vr not in LONG_VRS)

BULK_VRS = FRAGMENT_VRS | {"UN"}


BEGIN_EXPLICIT = {True: struct.Struct("<HH2sH").unpack_from, False: struct.Struct(">HH2sH").unpack_from}
BEGIN_IMPLICIT = {True: struct.Struct("<HHL").unpack_from, False: struct.Struct(">HHL").unpack_from}
_LENGTH = {True: struct.Struct("<L").unpack_from, False: struct.Struct(">L").unpack_from}
"""What begins an element in explicit VR, one in implicit VR or an item, and a long length, by whether it is little
endian."""


class EncodedElement(NamedTuple):
    tag: int
    vr: str
    length: int
    at: int
    """Offset of the value."""


def coding_of(data: Encoded, transfer_syntax_uid: str) -> Encoding:
    """Implicit or explicit VR as found in the first element: some senders name the one and send the other."""
    stated = encoding_of(transfer_syntax_uid)
    if len(data) < 6 or not stated.little:
        return stated
    return Encoding(not _looks_like_vr(data[4:6]), little=True)


def _looks_like_vr(two: bytes) -> bool:
    return len(two) == 2 and 0x41 <= two[0] <= 0x5A and 0x41 <= two[1] <= 0x5A


def element_at(data: Encoded, at: int, end: int, coding: Encoding) -> EncodedElement:
    """The element that begins at `at`: its value must fit before `end` (PS3.5 7.1.2, 7.1.3)."""
    if end - at < 8:
        raise Malformed(f"{end - at} bytes left where an element should begin", place="data set")
    if coding.implicit:
        group, number, length = BEGIN_IMPLICIT[coding.little](data, at)
        letters = b""
    else:
        group, number, letters, length = BEGIN_EXPLICIT[coding.little](data, at)
    tag = group << 16 | number
    if group in _FOREIGN_GROUPS:
        raise Malformed("an element of this group cannot stand in a data set", place=tag_name(tag))
    vr, value_at = VRS.get(letters, ""), at + 8
    if letters and not vr and not is_followed(data, at, end, coding, tag):
        known = _looks_like_vr(letters)
        raise Malformed(f"{'unknown' if known else 'no'} value representation", place=tag_name(tag))
    if vr in LONG_VRS:
        if end - at < 12:
            raise Malformed("the element is cut off", place=tag_name(tag))
        (length,) = _LENGTH[coding.little](data, at + 8)
        value_at = at + 12
    if not tag and not length:
        raise Malformed("zeros where an element should begin", place=tag_name(tag))
    if length != UNDEFINED and tag not in PIXEL_TAGS and value_at + length > end:
        raise Malformed(f"{length} bytes announced, {end - value_at} there", place=tag_name(tag))
    return EncodedElement(tag, vr, length, value_at)


def past_plain(data: Encoded, at: int, end: int, coding: Encoding, stops: Collection[int] = ()) -> int:
    """Where the elements from `at` on end that need no look: whole, in explicit VR with a length of two bytes, and none
    of `stops`. Most are."""
    if coding.implicit:
        return at
    begin = BEGIN_EXPLICIT[coding.little]
    while end - at >= 8:
        group, number, letters, length = begin(data, at)
        after = at + 8 + length
        if letters not in _PLAIN_VRS or group in _ODD_GROUPS or after > end or group << 16 | number in stops:
            break
        at = after
    return at


def elements_of(data: Encoded, at: int, end: int, coding: Encoding) -> Iterator[EncodedElement]:
    while at < end:
        element = element_at(data, at, end, coding)
        yield element
        at = value_end(data, element, end, coding, None)


def value_end(data: Encoded, element: EncodedElement, end: int, coding: Encoding, depth: int | None) -> int:
    """Where the value ends. With a `depth` (1 at the top) the items of defined-length sequences are checked
    too."""
    inside = coding
    if element.length == UNDEFINED:
        if element.vr == "UN":
            inside = OF_UNKNOWN
        fragments = element.tag in PIXEL_TAGS or element.vr in FRAGMENT_VRS
        return _sequence_end(data, element, end, inside, depth or 1, deep=depth is not None and not fragments)
    if depth is not None and element.length and effective_vr(element) == "SQ":
        _sequence_end(data, element, element.at + element.length, inside, depth, deep=True)
    return element.at + element.length


def _sequence_end(data: Encoded, element: EncodedElement, end: int, coding: Encoding, depth: int, *, deep: bool) -> int:
    """Walk items (PS3.5 7.5) from the value of `element`; the offset after its delimiter, or `end`."""
    if depth > MAX_DEPTH:
        raise Malformed(f"sequences nest deeper than {MAX_DEPTH}", place=tag_name(element.tag))
    at = element.at
    while at < end or element.length == UNDEFINED:
        if end - at < 8:
            raise Malformed("the sequence is cut off", place=tag_name(element.tag))
        group, number, length = struct.unpack_from(coding.mark + "HHL", data, at)
        tag, at = group << 16 | number, at + 8
        if tag == SEQUENCE_END and element.length == UNDEFINED:
            return at
        if tag == SEQUENCE_END and length == 0 and at == end:
            # A delimiter that a sequence of defined length does not need.
            return at
        if tag != ITEM:
            raise Malformed(f"{tag_name(tag)} where an item should begin", place=tag_name(element.tag))
        if length == UNDEFINED:
            at = _item_end(data, element, at, end, coding, depth, deep=deep)
            continue
        if at + length > end:
            raise Malformed(f"an item of {length} bytes is cut off", place=tag_name(element.tag))
        if deep:
            _walk_item(data, at, at + length, coding, depth)
        at += length
    return at


def _item_end(
    data: Encoded, parent: EncodedElement, at: int, end: int, coding: Encoding, depth: int, *, deep: bool
) -> int:
    """The offset after the Item Delimitation Item of an item of undefined length."""
    coding = coding_at(data, at, coding)
    while True:
        if end - at < 8:
            raise Malformed("an item is cut off", place=tag_name(parent.tag))
        if struct.unpack_from(coding.mark + "HH", data, at) == (ITEM_END >> 16, ITEM_END & 0xFFFF):
            return at + 8
        element = element_at(data, at, end, coding_at(data, at, coding))
        at = value_end(data, element, end, coding, depth + 1 if deep or element.length == UNDEFINED else None)


def _walk_item(data: Encoded, at: int, end: int, coding: Encoding, depth: int) -> None:
    coding = coding_at(data, at, coding)
    while at < end:
        element = element_at(data, at, end, coding_at(data, at, coding))
        at = value_end(data, element, end, coding, depth + 1)


def coding_at(data: Encoded, at: int, coding: Encoding) -> Encoding:
    """Some writers put implicit VR items into an explicit VR data set; pydicom reads them, and so do we."""
    if coding.implicit or _looks_like_vr(data[at + 4 : at + 6]):
        return coding
    return Encoding(implicit=True, little=coding.little)


def dictionary_vr(tag: BaseTag | int) -> str:
    return effective_vr(EncodedElement(int(tag), "", 0, 0))


def effective_vr(element: EncodedElement) -> str:
    """The VR sent, else that of PS3.6; UN for what neither names (PS3.5 6.2.2)."""
    if element.vr:
        return element.vr
    try:
        return dictionary_VR(element.tag)[:2]
    except KeyError:
        return "UN"


def is_bulk(element: EncodedElement, size: int, most: int | None) -> bool:
    """Whether a value of `size` bytes is binary and longer than `most` (None: none is)."""
    return most is not None and size > most and effective_vr(element) in BULK_VRS


def short_vr(element: EncodedElement) -> bytes:
    """The VR of an element whose own is none: of the dictionary, as far as its length has two bytes."""
    vr = effective_vr(element)
    return b"LO" if vr in LONG_VRS else vr.encode()
