"""Encoded elements of text, in the encoding of a file (PS3.5 7.1, 7.5, Annex A)."""

from __future__ import annotations

from gateway.dicom_encoding import Encoding, header, sequence
from gateway.worklist.encoding import CharacterSets, value_of
from gateway.worklist.items import Element


def element(one: Element, encoding: Encoding, sets: CharacterSets) -> bytes:
    """A whole element of text, or a sequence of such."""
    if one.vr == "SQ":
        bodies = [b"".join(element(each[tag], encoding, sets) for tag in sorted(each)) for each in one.items]
        return sequence(one.tag, bodies, encoding)
    value = value_of(one.vr, one.values, sets)
    return header(encoding, one.tag, one.vr, len(value)) + value
