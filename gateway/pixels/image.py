"""What a data set states about its pixels (PS3.3 C.7.6.3), and where these are."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from gateway.dicom_encoding import Encoded, Encoding
from gateway.pixels.elements import Element, elements_of
from gateway.pixels.faults import BrokenPixels, NoPixels, TooManyPixels

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION = (
    0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
LOSSY: Final = 0x00282110
PIXELS: Final = 0x7FE00010
FLOAT_PIXELS: Final = {0x7FE00008: 32, 0x7FE00009: 64}
"""Float Pixel Data and Double Float Pixel Data -> bits of a value (PS3.3 C.7.6.24, C.7.6.25)."""
OFFSETS, OFFSET_LENGTHS, TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
"""Extended Offset Table, its lengths, and the length of all encapsulated frames together (PS3.3 C.7.6.3.1.8)."""
_NUMBERS: Final = frozenset({SAMPLES, PLANAR, ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION})
_TEXTS: Final = frozenset({PHOTOMETRIC, FRAMES, LOSSY})
_LAST_LENGTH: Final = 0xFFFFFFFE


@dataclass(frozen=True, slots=True)
class Image:
    """The pixels of one data set, as it states them."""

    pixels: Element
    offsets: Element | None
    offset_lengths: Element | None
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int
    frames: int
    lossy: str | None
    """Lossy Image Compression; None: not there."""
    is_float: bool = False

    @property
    def frame_bits(self) -> int:
        """Of a native frame; YBR_FULL_422 has half of the chroma samples."""
        bits = self.rows * self.columns * self.samples * self.allocated
        return bits * 2 // 3 if self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") else bits

    @property
    def frame_bytes(self) -> int:
        """Of a frame that begins with a byte of its own."""
        return (self.frame_bits + 7) // 8

    def native_length(self, frame_bits: int) -> int:
        """Bytes of all frames as native Pixel Data, of even length; `TooManyPixels` beyond what 32 bits state."""
        length = (self.frames * frame_bits + 7) // 8
        length += length % 2
        if length > _LAST_LENGTH:
            raise TooManyPixels(f"{length} bytes without compression: more than a length can state", place="PixelData")
        return length


def image_of(data: Encoded, at: int, end: int, encoding: Encoding, *, with_floats: bool = False) -> Image:
    """The image of the data set between `at` and `end`; raises `NoPixels` and `BrokenPixels`.

    `with_floats`: also one of floating point numbers, which are never compressed.
    """
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    places: dict[int, Element] = {}
    for element in elements_of(data, at, end, encoding):
        if element.tag in _NUMBERS and element.length >= 2:
            (numbers[element.tag],) = struct.unpack_from(encoding.mark + "H", data, element.at)
        elif element.tag in _TEXTS:
            value = data[element.at : element.at + element.length]
            texts[element.tag] = value.decode("ascii", "replace").strip(" \0")
        elif element.tag >> 16 == 0x7FE0:
            places[element.tag] = element
            if element.tag == PIXELS:
                break
    floats = [tag for tag in FLOAT_PIXELS if tag in places] if with_floats else []
    if PIXELS not in places and not floats:
        of_what = " of whole numbers" if any(tag in places for tag in FLOAT_PIXELS) else ""
        raise NoPixels(f"the instance has no pixels{of_what}", place="PixelData")
    if floats:
        numbers[ALLOCATED] = numbers[STORED] = FLOAT_PIXELS[floats[0]]
        return replace(_image(places[floats[0]], places, numbers, texts), is_float=True)
    return _image(places[PIXELS], places, numbers, texts)


def _image(pixels: Element, places: dict[int, Element], numbers: dict[int, int], texts: dict[int, str]) -> Image:
    missing = [tag for tag in (ROWS, COLUMNS, ALLOCATED) if not numbers.get(tag)]
    if missing:
        raise BrokenPixels(f"Rows, Columns or Bits Allocated is missing: {len(missing)} of 3", place="PixelData")
    frames = texts.get(FRAMES, "")
    allocated = numbers[ALLOCATED]
    stored = numbers.get(STORED) or allocated
    return Image(
        pixels, places.get(OFFSETS), places.get(OFFSET_LENGTHS), numbers[ROWS], numbers[COLUMNS],
        numbers.get(SAMPLES) or 1, allocated, stored, numbers.get(HIGH_BIT, stored - 1),
        numbers.get(REPRESENTATION, 0) == 1, texts.get(PHOTOMETRIC, ""), numbers.get(PLANAR, 0),
        max(1, int(frames)) if frames.isdigit() else 1, texts.get(LOSSY),
    )  # fmt: skip
