"""Preamble and File Meta Information at the beginning of a file in the DICOM File Format (PS3.10 7.1), which is still
arriving."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from gateway.dicom_encoding import LONG_VRS, tag_name
from gateway.errors import Malformed

MAX_HEAD_BYTES: Final = 64 * 1024
"""Longer File Meta Information is none."""
_MARK: Final = 128
_META: Final = _MARK + 4
_SHORT: Final = struct.Struct("<HH2sH")
_LONG: Final = struct.Struct("<L")
_CLASS, _INSTANCE, _SYNTAX = 0x0002, 0x0003, 0x0010


class Part10Head(NamedTuple):
    """What File Meta Information names; empty: nothing."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    ends_at: int
    """Where the data set begins."""


def read_head(data: bytes | bytearray, *, is_whole: bool) -> Part10Head | None:
    """None: more of the file is needed. `is_whole`: no more will come. Raises `Malformed`."""
    if len(data) < _META or data[_MARK:_META] != b"DICM":
        if len(data) >= _META or is_whole:
            raise Malformed("not a file in the DICOM File Format (PS3.10 7.1)", place="File Meta Information")
        return None
    named, at = dict[int, str](), _META
    while len(data) - at >= _SHORT.size:
        group, number, vr, length = _SHORT.unpack_from(data, at)
        if group != 2:
            return Part10Head(named.get(_CLASS, ""), named.get(_INSTANCE, ""), named.get(_SYNTAX, ""), at)
        begin = at + _SHORT.size
        if vr.decode("latin-1") in LONG_VRS:
            if len(data) - begin < _LONG.size:
                break
            (length,) = _LONG.unpack_from(data, begin)
            begin += _LONG.size
        if begin + length > MAX_HEAD_BYTES:
            raise Malformed("File Meta Information that does not end", place=tag_name(2 << 16 | number))
        if begin + length > len(data):
            break
        named[number] = bytes(data[begin : begin + length]).decode("latin-1").strip(" \0")
        at = begin + length
    if not is_whole:
        return None
    if at == len(data):
        return Part10Head(named.get(_CLASS, ""), named.get(_INSTANCE, ""), named.get(_SYNTAX, ""), at)
    raise Malformed("cut off", place="File Meta Information")
