"""Encoded elements and sequences of few bytes, in the encoding of a file (PS3.5 7.1, 7.5, Annex A)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from gateway.dicom_encoding import ITEM, LONG_VRS, Encoding
from gateway.worklist.encoding import CharacterSets, value_of
from gateway.worklist.items import Element


def header(encoding: Encoding, tag: int, vr: str, length: int) -> bytes:
    """Tag, VR if it is explicit, and length."""
    group, number = tag >> 16, tag & 0xFFFF
    if encoding.implicit:
        return struct.pack(encoding.mark + "HHL", group, number, length)
    if vr in LONG_VRS:
        return struct.pack(encoding.mark + "HH2sHL", group, number, vr.encode(), 0, length)
    return struct.pack(encoding.mark + "HH2sH", group, number, vr.encode(), length)


def element(one: Element, encoding: Encoding, sets: CharacterSets) -> bytes:
    """A whole element of text, or a sequence of such."""
    if one.vr == "SQ":
        bodies = [b"".join(element(each[tag], encoding, sets) for tag in sorted(each)) for each in one.items]
        return sequence(one.tag, bodies, encoding)
    value = value_of(one, sets)
    return header(encoding, one.tag, one.vr, len(value)) + value


def sequence(tag: int, items: Iterable[bytes], encoding: Encoding) -> bytes:
    """A sequence of these items, with explicit lengths."""
    value = b"".join(item(one, encoding) for one in items)
    return header(encoding, tag, "SQ", len(value)) + value


def item(body: bytes, encoding: Encoding) -> bytes:
    """An item, with explicit length."""
    return struct.pack(encoding.mark + "HHL", ITEM >> 16, ITEM & 0xFFFF, len(body)) + body
