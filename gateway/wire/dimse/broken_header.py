"""What can be read of a header that is broken: an odd element need not refuse an instance."""

from __future__ import annotations

import re
import struct
from typing import Final, NamedTuple

from gateway.dicom_encoding import ITEM, Encoded, Encoding
from gateway.errors import Malformed
from gateway.wire.dimse.elements import DEFLATED, PIXEL_TAGS, EncodedElement, coding_of, element_at, value_end
from gateway.wire.dimse.header import MAX_ELEMENT_BYTES, without_pixels

STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SEARCHED_BYTES: Final = 1024 * 1024
"""So far behind a fault the UIDs of study and series are looked for."""
_UID: Final = re.compile(rb"[0-9][0-9.]*[\0 ]*")
_LONGEST: Final = 128
"""Bytes: some write longer UIDs than PS3.5 9.1 allows."""


class Readable(NamedTuple):
    """The elements of a broken header that can be read."""

    header: bytes
    goes_on: bool
    """Behind the fault it goes on with Study Instance UID."""


def readable_header(data: Encoded, transfer_syntax_uid: str, *, begins_at: int = 0) -> Readable:
    """The elements before the first that cannot be read, for a data set that `split_header` or `read_header` refuses;
    without long binary elements, as of `split_header`.

    Where neither study nor series was named before the fault, and Study and Series Instance UID stand one after the
    other behind it, the elements from there on, up to the next fault. Raises `Malformed` for a deflated data set.
    """
    if transfer_syntax_uid in DEFLATED:
        raise Malformed("deflated data set cannot be inflated", place="data set")
    coding = coding_of(data[begins_at : begins_at + 6], transfer_syntax_uid)
    fault = _fault(data, begins_at, coding)
    again = _uids_behind(data, fault.last, coding) if fault.tag < STUDY_UID else None
    if again is None:
        return Readable(_between(data, begins_at, fault.at, coding), goes_on=False)
    # UIDs within the last element: its length is wrong.
    header = _between(data, begins_at, fault.at if again >= fault.at else fault.last, coding)
    return Readable(header + _between(data, again, _fault(data, again, coding).at, coding), goes_on=True)


def _between(data: Encoded, at: int, end: int, coding: Encoding) -> bytes:
    return without_pixels(data, at, end, coding, MAX_ELEMENT_BYTES)[0]


class _Fault(NamedTuple):
    """Where elements end that can be read, at the pixels if not before."""

    at: int
    last: int
    """Where the last of them begins."""
    tag: int
    """Of the last; 0: there is none."""


def _fault(data: Encoded, at: int, coding: Encoding) -> _Fault:
    last, tag = at, 0
    try:
        while at < len(data):
            element = element_at(data, at, len(data), coding)
            if element.tag in PIXEL_TAGS:
                break
            after = value_end(data, element, len(data), coding, 1)
            last, tag, at = at, element.tag, after
    except Malformed:
        pass
    return _Fault(at, last, tag)


def _uids_behind(data: Encoded, at: int, coding: Encoding) -> int | None:
    """Where Study Instance UID stands with Series Instance UID behind it, not those of an item; None: nowhere."""
    wanted = struct.pack(coding.mark + "HH", STUDY_UID >> 16, STUDY_UID & 0xFFFF)
    end = min(len(data), at + SEARCHED_BYTES)
    while (at := data.find(wanted, at, end)) != -1:
        study = _uid_at(data, at, coding, STUDY_UID)
        series = study and _uid_at(data, study.at + study.length, coding, SERIES_UID)
        if study is not None and series is not None and not _is_within_item(data, study, coding):
            return at
        at += 1
    return None


def _is_within_item(data: Encoded, study: EncodedElement, coding: Encoding) -> bool:
    """Whether the elements behind Study Instance UID lead out of an item: to its end, to the next, or to the data set
    around it, which has a Study Instance UID of its own."""
    at = study.at + study.length
    try:
        while at < len(data):
            element = element_at(data, at, len(data), coding)
            if element.tag in PIXEL_TAGS or element.tag == STUDY_UID:
                return element.tag == STUDY_UID
            at = value_end(data, element, len(data), coding, 1)
    except Malformed:
        return data[at : at + 2] == struct.pack(coding.mark + "H", ITEM >> 16)
    return False


def _uid_at(data: Encoded, at: int, coding: Encoding, tag: int) -> EncodedElement | None:
    """The element at `at`, if it has this tag and a UID."""
    try:
        element = element_at(data, at, len(data), coding)
    except Malformed:
        return None
    value = data[element.at : element.at + min(element.length, _LONGEST)]
    is_uid = element.tag == tag and len(value) == element.length and _UID.fullmatch(value)
    return element if is_uid else None
