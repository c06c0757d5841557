"""The encoded data set of a C-STORE up to its pixels: cut out without decoding, and read afterwards.

PS3.5 7.1 gives the element structures, 7.5 the nesting, Annex A the transfer syntaxes. Elements stand in
ascending order of their tags (PS3.5 7.1), so everything that describes an instance comes before its pixel
data, and a header is a prefix of the bytes that came.
"""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from mmap import mmap
from typing import Any

import pydicom.config
from pydicom.datadict import keyword_dict
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import VR

from gateway.dicom_encoding import Encoded, Encoding, tag_name
from gateway.errors import Malformed
from gateway.long_work import LONG_BYTES
from gateway.wire.dimse import deflated_header
from gateway.wire.dimse.elements import (
    DEFLATED,
    PIXEL_TAGS,
    coding_of,
    dictionary_vr,
    element_at,
    elements_of,
    is_bulk,
    past_plain,
    short_vr,
    value_end,
)
from gateway.wire.dimse.identifier import Identifier, decode_selected
from gateway.wire.dimse.selection import selected
from gateway.wire.dimse.text import mend_texts

# With the default pydicom puts the offending value, which may be a patient's name, into a warning on stderr.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


MAX_ELEMENT_BYTES = 64 * 1024
MAX_PADDING_BYTES = 1024 * 1024
"""More zeros behind the last element are no padding."""

_KNOWN_VRS = frozenset(vr.value for vr in VR)

_NUMBER_VRS = frozenset({"DS", "IS"})


def split_header(
    data: Encoded, transfer_syntax_uid: str, *, begins_at: int = 0, max_element_bytes: int | None = MAX_ELEMENT_BYTES
) -> bytes:
    """The elements of an encoded data set that stand before its first pixel-data element, still encoded.

    The same encoding as `data`, except that a deflated data set is answered *inflated* (Explicit VR Little
    Endian); `read_header` with the same transfer syntax expects just that. Pixels are never copied, a
    deflated data set is inflated no further than its pixels. Binary elements (OB, OW, OF, OD, OL, OV, UN) of
    the top level whose value is longer than `max_element_bytes` are left out (None keeps them): lookup
    tables, embedded documents, vendors' blocks. `begins_at`: where in `data` the data set begins.

    Raises `Malformed` with the tag at which the structure broke.
    """
    if transfer_syntax_uid in DEFLATED:
        return deflated_header.split(data, max_element_bytes, begins_at)
    coding = coding_of(data[begins_at : begins_at + 6], transfer_syntax_uid)
    return without_pixels(data, begins_at, len(data), coding, max_element_bytes)[0]


def short_header(data: Encoded, transfer_syntax_uid: str, *, begins_at: int = 0) -> bytes | None:
    """What `split_header` gives, for a header so short that it need not be read beside the event loop; None for any
    other, for one that is in a file, and for one that is deflated or broken."""
    if isinstance(data, mmap):
        return None
    end = min(len(data), begins_at + LONG_BYTES)
    header, is_whole = _short(data, transfer_syntax_uid, begins_at, end)
    return header if is_whole or end == len(data) else None


def has_header(beginning: bytes, transfer_syntax_uid: str) -> bool:
    """Whether the beginning of a data set holds all that stands before its pixels; False also where it is deflated or
    broken."""
    return _short(beginning, transfer_syntax_uid, 0, len(beginning))[1]


def _short(data: Encoded, transfer_syntax_uid: str, begins_at: int, end: int) -> tuple[bytes | None, bool]:
    if transfer_syntax_uid in DEFLATED:
        return None, False
    coding = coding_of(data[begins_at : begins_at + 6], transfer_syntax_uid)
    try:
        return without_pixels(data, begins_at, end, coding, MAX_ELEMENT_BYTES)
    except Malformed:
        return None, False


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


def read_elements(
    header: bytes, transfer_syntax_uid: str, tags: Collection[int], faults: list[Malformed]
) -> Identifier:
    """The elements of the top level with these tags and Specific Character Set, of what `split_header` gave, as texts.

    Of frames what `selected` leaves. A value that its VR does not allow reads as empty, an attribute with broken items
    is left out; both are added to `faults`. Raises `Malformed` for every other fault of structure.
    """
    coding = coding_of(header, transfer_syntax_uid)
    elements, unread = decode_selected(selected(header, coding, tags, faults), coding)
    faults += unread
    return elements


def read_all(header: bytes, transfer_syntax_uid: str) -> Identifier:
    """Every element of what `split_header` gave that can be read, binary values with their bytes (`decode_selected`).
    Raises `Malformed` for a fault of structure of the top level."""
    return decode_selected(header, coding_of(header, transfer_syntax_uid), keeps_bytes=True)[0]


def without_pixels(
    data: Encoded, begin: int, end: int, coding: Encoding, max_element_bytes: int | None
) -> tuple[bytes, bool]:
    """The elements between two offsets up to the pixel data, without long binary ones, and whether pixel data stands
    behind them. Raises `Malformed`."""
    kept: list[bytes] = []
    kept_from = start = begin
    while (start := past_plain(data, start, end, coding)) < end:
        if start > begin and not any(data[start : start + 8]) and _is_padding(data, start, end):
            end = start
            break
        element = element_at(data, start, end, coding)
        if element.tag in PIXEL_TAGS:
            return b"".join([*kept, data[kept_from:start]]), True
        after = value_end(data, element, end, coding, None)
        if not coding.implicit and not element.vr:
            kept += [data[kept_from : start + 4], short_vr(element)]
            kept_from = start + 6
        if is_bulk(element, after - element.at, max_element_bytes):
            kept.append(data[kept_from:start])
            kept_from = after
        start = after
    return b"".join([*kept, data[kept_from:end]]), False


def _is_padding(data: Encoded, start: int, end: int) -> bool:
    """Zeros behind the last element."""
    return end - start <= MAX_PADDING_BYTES and not data[start:end].strip(b"\0")


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
