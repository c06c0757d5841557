"""How the elements of a data set are encoded (PS3.5 7.1, 7.5, Annex A): what all share who walk over one."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
UNDEFINED: Final = 0xFFFFFFFF
"""The length of a value that a delimiter ends."""
MAX_DEPTH: Final = 64
"""Sequences nested deeper than this are taken for an attack; the deepest of PS3.3 nest about ten."""

LONG_VRS: Final = frozenset(vr.value for vr in EXPLICIT_VR_LENGTH_32)
"""Value representations whose length has four bytes in explicit VR (PS3.5 7.1.2)."""
FRAGMENT_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
"""Of undefined length they hold fragments, not items (PS3.5 A.4), also in an icon or a private thumbnail."""
VRS: Final = {vr.value.encode(): vr.value for vr in VR if len(vr.value) == 2}
"""As they stand in explicit VR."""

Encoded = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are encoded (PS3.5 A.1, A.2, A.3)."""

    implicit: bool
    little: bool

    @property
    def mark(self) -> str:
        """Of the byte order, for `struct`."""
        return "<" if self.little else ">"


OF_UNKNOWN: Final = Encoding(implicit=True, little=True)
"""Items under VR UN are in implicit VR little endian (PS3.5 6.2.2 note 2)."""


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How a transfer syntax states the data set to be encoded: all but two are explicit and little endian."""
    return Encoding(transfer_syntax_uid == IMPLICIT_LITTLE, transfer_syntax_uid != EXPLICIT_BIG)


def header(encoding: Encoding, tag: int, vr: str, length: int) -> bytes:
    """Tag, VR if it is explicit, and length."""
    group, number = tag >> 16, tag & 0xFFFF
    if encoding.implicit:
        return struct.pack(encoding.mark + "HHL", group, number, length)
    if vr in LONG_VRS:
        return struct.pack(encoding.mark + "HH2sHL", group, number, vr.encode(), 0, length)
    return struct.pack(encoding.mark + "HH2sH", group, number, vr.encode(), length)


def sequence(tag: int, items: Iterable[bytes], encoding: Encoding) -> bytes:
    """A sequence of these items, with explicit lengths."""
    value = b"".join(item(one, encoding) for one in items)
    return header(encoding, tag, "SQ", len(value)) + value


def item(body: bytes, encoding: Encoding) -> bytes:
    """An item, with explicit length."""
    return struct.pack(encoding.mark + "HHL", ITEM >> 16, ITEM & 0xFFFF, len(body)) + body


def tag_name(tag: int) -> str:
    """As the standard writes it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_followed(data: Encoded, at: int, end: int, encoding: Encoding, tag: int) -> bool:
    """Whether an element without a known VR, its length read as that of a short one, ends where the data do or where
    an element of a higher tag with a known VR begins."""
    (length,) = struct.unpack_from(encoding.mark + "H", data, at + 6)
    after = at + 8 + length
    if after == end:
        return True
    if after + 8 > end:
        return False
    group, number = struct.unpack_from(encoding.mark + "HH", data, after)
    return (group << 16 | number) > tag and data[after + 4 : after + 6] in VRS
