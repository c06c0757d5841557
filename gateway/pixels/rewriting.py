"""Writing a data set anew with a few elements changed: whatever is not touched is written from its own bytes.

Another library would decode values to write them again, and what it reads in a way of its own would come out different.
"""

from __future__ import annotations

import array
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from pydicom.datadict import dictionary_VR

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.dicom_encoding import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    MAX_DEPTH,
    OF_UNKNOWN,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
    header,
    tag_name,
)
from gateway.pixels.elements import Element, Item, elements_of, end_of, items_of
from gateway.pixels.faults import UnsupportedPixels
from gateway.pixels.part10 import META, DicomFile

ICONS: Final = 0x00880200
"""Icon Image Sequence: its item has an image of its own."""
LENGTH_TO_END: Final = 0x00080001
CHUNK: Final = 1 << 20
_SHORT_LIMIT: Final = 0xFFFE
_UNITS: Final = {
    **dict.fromkeys(("US", "SS", "OW", "AT"), "H"), **dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), "I"),
    **dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), "Q"),
}  # fmt: skip
"""VR -> the `array` type whose bytes another byte order turns round."""


@dataclass(frozen=True, slots=True)
class Value:
    """Another value of an element, little endian and of even length."""

    vr: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Stream:
    """A long value that is written piece by piece; `length` None: fragments follow, delimiter included."""

    vr: str
    length: int | None
    write: Callable[[BinaryIO], None]


Changes = Mapping[int, Value | Stream | None]
"""Tag -> what stands there instead; None: nothing."""
NO_CHANGES: Final[Changes] = {}


def write_meta(file: DicomFile, target: BinaryIO, syntax: str) -> None:
    """Preamble and File Meta Information, with another transfer syntax (PS3.10 7.1)."""
    body = bytearray()
    for tag, vr, value in file.meta:
        text = syntax.encode() + b"\0" * (len(syntax) % 2)
        body += header(META, tag, vr, len(text if tag == 0x00020010 else value))
        body += text if tag == 0x00020010 else value
    target.write(bytes(128) + b"DICM" + header(META, 0x00020000, "UL", 4) + struct.pack("<L", len(body)) + body)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """One data set of `file` on its way to `target`."""

    file: DicomFile
    target: BinaryIO
    encoding: Encoding
    """Of the target: little endian."""
    signed: bool
    """Pixel Representation: decides values that may be US or SS."""
    of_icon: Callable[[Item], Changes] = field(default=lambda item: NO_CHANGES)
    """Changes in the item of an icon."""

    def data_set(self, at: int, end: int, encoding: Encoding, changes: Changes = NO_CHANGES, depth: int = 0) -> None:
        """Write the elements between `at` and `end`, with `changes` at their places."""
        if depth > MAX_DEPTH:
            raise UnsupportedPixels(f"sequences nest deeper than {MAX_DEPTH}", place="data set")
        waiting = sorted(changes)
        for element in elements_of(self.file.data, at, end, encoding):
            while waiting and waiting[0] <= element.tag:
                self._changed(waiting[0], changes[waiting.pop(0)])
            if element.tag in changes or not element.tag & 0xFFFF or element.tag == LENGTH_TO_END:
                # Group lengths (PS3.5 7.2, retired) would be wrong.
                continue
            self._element(element, end, encoding, depth)
        for tag in waiting:
            self._changed(tag, changes[tag])

    def _changed(self, tag: int, change: Value | Stream | None) -> None:
        if isinstance(change, Value):
            self.target.write(header(self.encoding, tag, change.vr, len(change.value)) + change.value)
        elif change is not None:
            length = UNDEFINED if change.length is None else change.length
            self.target.write(header(self.encoding, tag, change.vr, length))
            change.write(self.target)

    def _element(self, element: Element, end: int, encoding: Encoding, depth: int) -> None:
        if element.tag == ICONS or (element.holds_items and encoding != self.encoding):
            self._items(element, end, encoding, depth)
        elif encoding == self.encoding:
            self._copy(element.start, end_of(self.file.data, element, end, encoding) - element.start)
        elif element.holds_fragments:
            raise UnsupportedPixels(
                "another image than that of the instance is compressed", place=tag_name(element.tag)
            )
        else:
            vr = element.vr or self._vr(element)
            if not self.encoding.implicit and vr not in LONG_VRS and element.length > _SHORT_LIMIT:
                vr = "UN"
            self.target.write(header(self.encoding, element.tag, vr, element.length))
            self._copy(element.at, element.length, "" if encoding.little else _UNITS.get(vr, ""))

    def _items(self, element: Element, end: int, encoding: Encoding, depth: int) -> None:
        """A sequence, its lengths undefined: those of the other encoding are not known before it is written."""
        vr = element.vr or self._vr(element)
        self.target.write(header(self.encoding, element.tag, vr, UNDEFINED))
        unknown = vr == "UN"
        for item in items_of(self.file.data, element, end, encoding):
            self.target.write(struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, UNDEFINED))
            if unknown and item.encoding == OF_UNKNOWN:
                self._copy(item.at, item.end - item.at)
            else:
                changes = self.of_icon(item) if element.tag == ICONS else NO_CHANGES
                self.data_set(item.at, item.end, item.encoding, changes, depth + 1)
            self.target.write(struct.pack("<HHL", ITEM_END >> 16, ITEM_END & 0xFFFF, 0))
        self.target.write(struct.pack("<HHL", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0))

    def _vr(self, element: Element) -> str:
        """The VR of an element that came without (PS3.5 A.1, PS3.6; UN for what PS3.6 does not name, 6.2.2)."""
        try:
            vr = dictionary_VR(element.tag)
        except KeyError:
            return "LO" if element.tag >> 16 & 1 and 0x10 <= element.tag & 0xFFFF <= 0xFF else "UN"
        if "OW" in vr:
            return "OW"
        return ("SS" if self.signed else "US") if vr.startswith("US or SS") else vr

    def _copy(self, at: int, length: int, unit: str = "") -> None:
        for start in range(at, at + length, CHUNK):
            piece = self.file.read(start, min(CHUNK, at + length - start))
            self.target.write(_turned(piece, unit) if unit else piece)


def _turned(piece: bytes, unit: str) -> bytes:
    """The numbers in the other byte order; what is no whole number stays."""
    numbers = array.array(unit)
    whole = len(piece) - len(piece) % numbers.itemsize
    numbers.frombytes(piece[:whole])
    numbers.byteswap()
    return numbers.tobytes() + piece[whole:]
