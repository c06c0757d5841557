"""The encoded data set of a C-STORE up to its pixels: cut out without decoding, and read afterwards.

PS3.5 7.1 gives the element structures, 7.5 the nesting, Annex A the transfer syntaxes. Elements stand in
ascending order of their tags (PS3.5 7.1), so everything that describes an instance comes before its pixel
data, and a header is a prefix of the bytes that came.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import pydicom.config
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from gateway.errors import Malformed

# With the default pydicom puts the offending value, which may be a patient's name, into a warning on stderr.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
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

MAX_ELEMENT_BYTES = 64 * 1024
MAX_INFLATED_BYTES = 256 * 1024 * 1024
"""A deflated header that grows beyond this is taken for an attack."""
MAX_DEPTH = 64
"""Sequences nested deeper than this are taken for an attack; the deepest of PS3.3 nest about ten."""

Encoded = bytes | mmap.mmap

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_FOREIGN_GROUPS = frozenset({0x0000, 0x0002, 0xFFFE, 0xFFFF})
"""Command set, File Meta Information, item delimiters: PS3.5 7.1 keeps them out of a data set's own level."""
_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_VRS = {vr.value.encode(): vr.value for vr in VR if len(vr.value) == 2}
_NUMBER_VRS = frozenset({"DS", "IS"})
_LONG_VRS = frozenset(vr.value for vr in EXPLICIT_VR_LENGTH_32)


@dataclass(frozen=True)
class _Coding:
    """How elements are encoded (PS3.5 A.1, A.2, A.3)."""

    implicit: bool
    little: bool

    @property
    def mark(self) -> str:
        return "<" if self.little else ">"


class _Element(NamedTuple):
    tag: int
    vr: str
    length: int
    at: int
    """Offset of the value."""


def split_header(
    data: Encoded, transfer_syntax_uid: str, *, max_element_bytes: int | None = MAX_ELEMENT_BYTES
) -> bytes:
    """The elements of an encoded data set that stand before its first pixel-data element, still encoded.

    The same encoding as `data`, except that a deflated data set is answered *inflated* (Explicit VR Little
    Endian); `read_header` with the same transfer syntax expects just that. Pixels are never copied, a
    deflated data set is inflated no further than its pixels. Binary elements (OB, OW, OF, OD, OL, OV, UN) of
    the top level whose value is longer than `max_element_bytes` are left out (None keeps them): lookup
    tables, embedded documents, vendors' blocks.

    Raises `Malformed` with the tag at which the structure broke.
    """
    if transfer_syntax_uid in DEFLATED:
        return _split_deflated(data, max_element_bytes)
    return _split(data, _coding(data, transfer_syntax_uid), max_element_bytes)


def read_header(
    header: bytes,
    transfer_syntax_uid: str,
    *,
    keywords: Collection[str] | None = None,
    strict: bool = False,
) -> Dataset:
    """Decode what `split_header` gave; every value is converted, so reading an attribute later cannot fail.

    `keywords` limits the work to those attributes of the top level (and Specific Character Set). A value that
    its VR does not allow (the text of an IS that is no number) reads as empty; with `strict` it raises
    `Malformed`, as does every fault of structure, nested ones included.
    """
    coding = _coding(header, transfer_syntax_uid)
    wanted: list[BaseTag | int] | None = None if keywords is None else [Tag(keyword_dict[name]) for name in keywords]
    for element in _elements(header, 0, len(header), coding):
        if wanted is None or element.tag in wanted:
            _value_end(header, element, len(header), coding, 1)
    try:
        dataset = read_dataset(BytesIO(header), coding.implicit, coding.little, specific_tags=wanted)
        _convert(dataset, strict)
    except Malformed:
        raise
    except Exception as error:  # pydicom raises whatever its parsers met
        raise Malformed(f"cannot be decoded ({type(error).__name__})", place="data set") from error
    return dataset


def _coding(data: Encoded, transfer_syntax_uid: str) -> _Coding:
    """Implicit or explicit VR as found in the first element: some senders name the one and send the other."""
    said = _Coding(transfer_syntax_uid == IMPLICIT_LITTLE, transfer_syntax_uid != EXPLICIT_BIG)
    if len(data) < 6 or not said.little:
        return said
    return _Coding(not _looks_like_vr(data[4:6]), little=True)


def _looks_like_vr(two: bytes) -> bool:
    return len(two) == 2 and 0x41 <= two[0] <= 0x5A and 0x41 <= two[1] <= 0x5A


def _split_deflated(data: Encoded, max_element_bytes: int | None) -> bytes:
    """Inflate in growing steps until the pixels are met or the stream ends (RFC 1951, no zlib header)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    buffer, step, rest = bytearray(), 256 * 1024, data
    while True:
        try:
            buffer += inflater.decompress(rest, step)
        except zlib.error as error:
            raise Malformed("deflated data set cannot be inflated", place="data set") from error
        rest, ended = inflater.unconsumed_tail, inflater.eof or not inflater.unconsumed_tail
        try:
            inflated = bytes(buffer)
            header = _split(inflated, _coding(inflated, ""), max_element_bytes, whole=ended)
        except Malformed:
            if ended:
                raise
            header = None
        if header is not None:
            return header
        if len(buffer) >= MAX_INFLATED_BYTES:
            raise Malformed(f"header is longer than {MAX_INFLATED_BYTES} bytes", place="data set")
        step = 3 * len(buffer)


def _split(data: Encoded, coding: _Coding, max_element_bytes: int | None, *, whole: bool = True) -> bytes:
    """`whole` is False for the beginning of a longer data set, whose end is then a fault unless pixels come
    first."""
    kept: list[bytes] = []
    kept_from = start = 0
    end = len(data)
    while start < end:
        if not any(data[start : start + 8]) and start and not data[start:].strip(b"\0"):
            end = start  # zero padding after the last element
            break
        element = _element(data, start, end, coding)
        if element.tag in PIXEL_TAGS:
            return b"".join([*kept, data[kept_from:start]])
        after = _value_end(data, element, end, coding, None)
        too_long = max_element_bytes is not None and after - element.at > max_element_bytes
        if too_long and _effective_vr(element) in _BULK_VRS:
            kept.append(data[kept_from:start])
            kept_from = after
        start = after
    if not whole:
        raise Malformed("ends before its pixel data", place="data set")
    return b"".join([*kept, data[kept_from:end]])


def _element(data: Encoded, at: int, end: int, coding: _Coding) -> _Element:
    """The element that begins at `at`: its value must fit before `end` (PS3.5 7.1.2, 7.1.3)."""
    if end - at < 8:
        raise Malformed(f"{end - at} bytes left where an element should begin", place="data set")
    group, number = struct.unpack_from(coding.mark + "HH", data, at)
    tag = group << 16 | number
    if group in _FOREIGN_GROUPS:
        raise Malformed("an element of this group cannot stand in a data set", place=_name(tag))
    vr, value_at = "", at + 8
    if not coding.implicit and _looks_like_vr(data[at + 4 : at + 6]):
        vr = _VRS.get(data[at + 4 : at + 6], "")
        if not vr:
            raise Malformed("unknown value representation", place=_name(tag))
    elif not coding.implicit:
        raise Malformed("no value representation", place=_name(tag))
    if vr in _LONG_VRS:
        if end - at < 12:
            raise Malformed("the element is cut off", place=_name(tag))
        (length,) = struct.unpack_from(coding.mark + "L", data, at + 8)
        value_at = at + 12
    else:
        (length,) = struct.unpack_from(coding.mark + ("H" if vr else "L"), data, at + (6 if vr else 4))
    if length != _UNDEFINED and tag not in PIXEL_TAGS and value_at + length > end:
        raise Malformed(f"{length} bytes announced, {end - value_at} there", place=_name(tag))
    return _Element(tag, vr, length, value_at)


def _elements(data: Encoded, at: int, end: int, coding: _Coding) -> Iterator[_Element]:
    while at < end:
        element = _element(data, at, end, coding)
        yield element
        at = _value_end(data, element, end, coding, None)


def _value_end(data: Encoded, element: _Element, end: int, coding: _Coding, depth: int | None) -> int:
    """Where the value ends. With a `depth` (1 at the top) the items of defined-length sequences are checked
    too."""
    inside = coding
    if element.length == _UNDEFINED:
        if element.vr == "UN":  # PS3.5 6.2.2 note 2: its items are implicit VR little endian
            inside = _Coding(implicit=True, little=True)
        return _sequence_end(data, element, end, inside, depth or 1, deep=depth is not None)
    if depth is not None and element.length and _effective_vr(element) == "SQ":
        _sequence_end(data, element, element.at + element.length, inside, depth, deep=True)
    return element.at + element.length


def _sequence_end(data: Encoded, element: _Element, end: int, coding: _Coding, depth: int, *, deep: bool) -> int:
    """Walk items (PS3.5 7.5) from the value of `element`; the offset after its delimiter, or `end`."""
    if depth > MAX_DEPTH:
        raise Malformed(f"sequences nest deeper than {MAX_DEPTH}", place=_name(element.tag))
    at = element.at
    while at < end or element.length == _UNDEFINED:
        if end - at < 8:
            raise Malformed("the sequence is cut off", place=_name(element.tag))
        group, number, length = struct.unpack_from(coding.mark + "HHL", data, at)
        tag, at = group << 16 | number, at + 8
        if tag == _SEQUENCE_END and element.length == _UNDEFINED:
            return at
        if tag != _ITEM:
            raise Malformed(f"{_name(tag)} where an item should begin", place=_name(element.tag))
        if length == _UNDEFINED:
            at = _item_end(data, element, at, end, coding, depth, deep=deep)
            continue
        if at + length > end:
            raise Malformed(f"an item of {length} bytes is cut off", place=_name(element.tag))
        if deep:
            _walk_item(data, at, at + length, coding, depth)
        at += length
    return at


def _item_end(data: Encoded, parent: _Element, at: int, end: int, coding: _Coding, depth: int, *, deep: bool) -> int:
    """The offset after the Item Delimitation Item of an item of undefined length."""
    coding = _item_coding(data, at, coding)
    while True:
        if end - at < 8:
            raise Malformed("an item is cut off", place=_name(parent.tag))
        if struct.unpack_from(coding.mark + "HH", data, at) == (_ITEM_END >> 16, _ITEM_END & 0xFFFF):
            return at + 8
        element = _element(data, at, end, _switched(data, at, coding))
        at = _value_end(data, element, end, coding, depth + 1 if deep or element.length == _UNDEFINED else None)


def _walk_item(data: Encoded, at: int, end: int, coding: _Coding, depth: int) -> None:
    coding = _item_coding(data, at, coding)
    while at < end:
        element = _element(data, at, end, _switched(data, at, coding))
        at = _value_end(data, element, end, coding, depth + 1)


def _item_coding(data: Encoded, at: int, coding: _Coding) -> _Coding:
    """Some writers put implicit VR items into an explicit VR data set; pydicom reads them, and so do we."""
    return coding if coding.implicit else _switched(data, at, coding)


def _switched(data: Encoded, at: int, coding: _Coding) -> _Coding:
    if coding.implicit or _looks_like_vr(data[at + 4 : at + 6]):
        return coding
    return _Coding(implicit=True, little=coding.little)


def _effective_vr(element: _Element) -> str:
    """The VR sent, else that of PS3.6; UN for what neither names (PS3.5 6.2.2)."""
    if element.vr:
        return element.vr
    try:
        return dictionary_VR(element.tag)[:2]
    except KeyError:
        return "UN"


def _convert(dataset: Dataset, strict: bool) -> None:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == VR.SQ:
                for item in element.value:
                    _convert(item, strict)
            elif element.VR in _NUMBER_VRS and any(map(_is_text, _listed(element.value))):
                raise ValueError  # pydicom leaves what is no number as the text it found
        except Malformed:
            raise
        except Exception as error:  # a value that pydicom cannot convert
            if strict:
                raise Malformed(f"unreadable value ({type(error).__name__})", place=_name(tag)) from error
            raw_vr = dataset.get_item(tag).VR
            dataset[tag] = DataElement(tag, raw_vr or _dictionary_vr(tag), None)


def _listed(value: Any) -> Any:
    return value if isinstance(value, MultiValue) else (value,)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _dictionary_vr(tag: BaseTag) -> str:
    return _effective_vr(_Element(int(tag), "", 0, 0))


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
