"""File Meta Information of a Part 10 file (PS3.10 7.1): written before the data set."""

from __future__ import annotations

import struct
from typing import Final

PREAMBLE: Final = bytes(128) + b"DICM"
_GROUP_LENGTH: Final = struct.Struct("<HH2sHL")
_LONG: Final = frozenset({b"OB"})


def file_meta(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, implementation_uid: str, version_name: str
) -> bytes:
    """Preamble and File Meta Information, in Explicit VR Little Endian (PS3.10 Table 7.1-1)."""
    elements = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _element(0x0002, b"UI", _uid(sop_class_uid)),
            _element(0x0003, b"UI", _uid(sop_instance_uid)),
            _element(0x0010, b"UI", _uid(transfer_syntax_uid)),
            _element(0x0012, b"UI", _uid(implementation_uid)),
            _element(0x0013, b"SH", version_name.encode("ascii") + b" " * (len(version_name) % 2)),
        )
    )
    return PREAMBLE + _GROUP_LENGTH.pack(2, 0, b"UL", 4, len(elements)) + elements


def _uid(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    if vr in _LONG:
        return struct.pack("<HH2sHL", 2, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value
