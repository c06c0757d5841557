"""The encoded data set of a C-STORE up to its pixels: cut out without decoding, and read afterwards.

PS3.5 7.1 gives the element structures, 7.5 the nesting, Annex A the transfer syntaxes. Elements stand in
ascending order of their tags (PS3.5 7.1), so everything that describes an instance comes before its pixel
data, and a header is a prefix of the bytes that came.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from io import BytesIO
from typing import Any

import pydicom.config
from pydicom.charset import python_encoding
from pydicom.datadict import keyword_dict
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import VR

from gateway.errors import Malformed
from gateway.wire.dimse.elements import (
    DEFLATED,
    LONG_VRS,
    PIXEL_TAGS,
    Encoded,
    EncodedElement,
    Encoding,
    coding_of,
    dictionary_vr,
    effective_vr,
    element_at,
    elements_of,
    tag_name,
    value_end,
)
from gateway.wire.dimse.selection import selected
from gateway.wire.dimse.text import mend_texts

# Latin-9, in PS3.3 C.12.1.1.2 since 2023 and in no release of pydicom yet.
python_encoding.setdefault("ISO_IR 203", "iso8859_15")
python_encoding.setdefault("ISO 2022 IR 203", "iso8859_15")

# With the default pydicom puts the offending value, which may be a patient's name, into a warning on stderr.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


MAX_ELEMENT_BYTES = 64 * 1024

MAX_INFLATED_BYTES = 256 * 1024 * 1024
"""A deflated header that grows beyond this is taken for an attack."""


_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

_KNOWN_VRS = frozenset(vr.value for vr in VR)

_NUMBER_VRS = frozenset({"DS", "IS"})


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
    return _split(data, coding_of(data, transfer_syntax_uid), max_element_bytes)


def read_header(
    header: bytes,
    transfer_syntax_uid: str,
    *,
    keywords: Collection[str] | None = None,
    faults: list[Malformed] | None = None,
) -> Dataset:
    """Decode what `split_header` gave; every value is converted, so reading an attribute later cannot fail.

    `keywords` limits the work to those attributes of the top level and Specific Character Set (see `selected` for what
    is left of frames); of these, one with broken items is left out. A value that its VR does not allow (the text of an
    IS that is no number) reads as empty. Both are added to `faults`, where given. Raises `Malformed` for every other
    fault of structure, nested ones included.
    """
    coding = coding_of(header, transfer_syntax_uid)
    if keywords is None:
        for element in elements_of(header, 0, len(header), coding):
            value_end(header, element, len(header), coding, 1)
    else:
        header = selected(header, coding, {keyword_dict[name] for name in keywords if name in keyword_dict}, faults)
    try:
        dataset = read_dataset(BytesIO(header), coding.implicit, coding.little)
        _convert(dataset, faults if faults is not None else [])
        mend_texts(dataset)
    except Malformed:
        raise
    except Exception as error:  # pydicom raises whatever its parsers met
        raise Malformed(f"cannot be decoded ({type(error).__name__})", place="data set") from error
    return dataset


def readable_header(data: Encoded, transfer_syntax_uid: str) -> bytes:
    """The elements before the first that cannot be read, for a data set that `split_header` or `read_header` refuses.

    What stands in a part that nobody reads need not refuse an instance. Raises `Malformed` for a deflated data set.
    """
    if transfer_syntax_uid in DEFLATED:
        raise Malformed("deflated data set cannot be inflated", place="data set")
    coding, at, end = coding_of(data, transfer_syntax_uid), 0, len(data)
    try:
        while at < end:
            element = element_at(data, at, end, coding)
            if element.tag in PIXEL_TAGS:
                break
            at = value_end(data, element, end, coding, 1)
    except Malformed:
        pass
    return data[:at]


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
            header = _split(inflated, coding_of(inflated, ""), max_element_bytes, whole=ended)
        except Malformed:
            if ended:
                raise
            header = None
        if header is not None:
            return header
        if len(buffer) >= MAX_INFLATED_BYTES:
            raise Malformed(f"header is longer than {MAX_INFLATED_BYTES} bytes", place="data set")
        step = 3 * len(buffer)


def _split(data: Encoded, coding: Encoding, max_element_bytes: int | None, *, whole: bool = True) -> bytes:
    """`whole` is False for the beginning of a longer data set, whose end is then a fault unless pixels come
    first."""
    kept: list[bytes] = []
    kept_from = start = 0
    end = len(data)
    while start < end:
        if not any(data[start : start + 8]) and start and not data[start:].strip(b"\0"):
            end = start  # zero padding after the last element
            break
        element = element_at(data, start, end, coding)
        if element.tag in PIXEL_TAGS:
            return b"".join([*kept, data[kept_from:start]])
        after = value_end(data, element, end, coding, None)
        if not coding.implicit and not element.vr:
            kept += [data[kept_from : start + 4], _short_vr(element)]
            kept_from = start + 6
        too_long = max_element_bytes is not None and after - element.at > max_element_bytes
        if too_long and effective_vr(element) in _BULK_VRS:
            kept.append(data[kept_from:start])
            kept_from = after
        start = after
    if not whole:
        raise Malformed("ends before its pixel data", place="data set")
    return b"".join([*kept, data[kept_from:end]])


def _short_vr(element: EncodedElement) -> bytes:
    """The VR of an element whose own is none: of the dictionary, as far as its length has two bytes."""
    vr = effective_vr(element)
    return b"LO" if vr in LONG_VRS else vr.encode()


def _convert(dataset: Dataset, faults: list[Malformed]) -> None:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == VR.SQ:
                for item in element.value:
                    _convert(item, faults)
            elif element.VR in _NUMBER_VRS and any(map(_is_text, _listed(element.value))):
                raise ValueError  # pydicom leaves what is no number as the text it found
        except Exception as error:  # a value that pydicom cannot convert
            faults.append(Malformed(f"unreadable value ({type(error).__name__})", place=tag_name(tag)))
            raw_vr = dataset.get_item(tag).VR
            known = raw_vr if raw_vr in _KNOWN_VRS else dictionary_vr(tag)
            dataset[tag] = DataElement(tag, known, None)


def _listed(value: Any) -> Any:
    return value if isinstance(value, MultiValue) else (value,)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
