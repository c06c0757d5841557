"""An instance with lossless compression, where a site stores pixels for long (PS3.5 8.2, A.4, Annex G).

Each frame is decoded again and compared before it counts. SOP Instance UID and everything that does not describe the
encoding stay as they are: a lossless compression makes no other instance (PS3.3 C.7.6.1.1.5).
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from gateway.dicom_encoding import ITEM, SEQUENCE_END, encoding_of
from gateway.pixels import image as attributes
from gateway.pixels import syntaxes
from gateway.pixels.codecs import numpy
from gateway.pixels.decoders import Decoded, decoded_frame, decoder_of
from gateway.pixels.encoders import ENCODERS, Encoder
from gateway.pixels.faults import BrokenPixels, LossyRefused, TooManyPixels, UnsupportedPixels
from gateway.pixels.frames import native_frame_of
from gateway.pixels.image import Image, image_of
from gateway.pixels.part10 import DicomFile, opened
from gateway.pixels.rewriting import Rewriting, Stream, Value, write_meta
from gateway.pixels.targets import whole_or_none

_SHOWN: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"})


def compressed(source: Path, target: Path, method: str) -> None:
    """Write the instance of `source`, which is not compressed, to `target` by a method of `ENCODERS`, frame by frame.

    Raises `LossyRefused` for a method that is none of them, `PixelFault` for pixels that the method cannot hold, and
    leaves no target then.
    """
    encoder = ENCODERS.get(method)
    if encoder is None:
        raise LossyRefused(f"{method} is none of the lossless methods: {', '.join(ENCODERS)}", place="compress")
    with opened(source) as file, whole_or_none(target) as output:
        if file.syntax not in syntaxes.NATIVE:
            raise UnsupportedPixels(f"the instance is compressed already, as {file.syntax}", place="TransferSyntaxUID")
        image = image_of(file.data, file.at, file.end, file.encoding)
        _check(image, encoder)
        write_meta(file, output, encoder.syntax)
        changes: dict[int, Value | Stream | None] = {
            attributes.PIXELS: Stream("OB", None, lambda stream: _write(stream, file, image, encoder))
        }
        if image.photometric == "RGB" and encoder.of_rgb != "RGB":
            changes[attributes.PHOTOMETRIC] = Value("CS", encoder.of_rgb.encode() + b" " * (len(encoder.of_rgb) % 2))
        if image.samples > 1 and image.planar:
            changes[attributes.PLANAR] = Value("US", b"\0\0")
        rewriting = Rewriting(file, output, encoding_of(encoder.syntax), image.signed)
        rewriting.data_set(file.at, file.end, file.encoding, changes)


def _check(image: Image, encoder: Encoder) -> None:
    bits = (1, 8, 16) if encoder.takes_bits else (8, 16)
    if image.allocated not in bits or image.samples not in (1, 3) or image.photometric not in _SHOWN:
        text = f"{image.photometric} of {image.samples} x {image.allocated} bits is not compressed here"
        raise UnsupportedPixels(text, place="PixelData")


def _write(output: BinaryIO, file: DicomFile, image: Image, encoder: Encoder) -> None:
    """Basic Offset Table, a fragment for each frame, delimiter; the table is filled in at the end (PS3.5 A.4)."""
    output.write(struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, image.frames * 4))
    table = output.tell()
    output.write(bytes(image.frames * 4))
    first = output.tell()
    offsets = []
    for number in range(image.frames):
        offsets.append(output.tell() - first)
        fragment = _checked(native_frame_of(file, image, number), image, encoder)
        output.write(struct.pack("<HHL", ITEM >> 16, ITEM & 0xFFFF, len(fragment) + len(fragment) % 2))
        output.write(fragment + bytes(len(fragment) % 2))
    output.write(struct.pack("<HHL", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0))
    end = output.tell()
    if offsets[-1] > 0xFFFFFFFF:
        raise TooManyPixels("the frames are longer than a Basic Offset Table can state", place="PixelData")
    output.seek(table)
    output.write(struct.pack(f"<{image.frames}L", *offsets))
    output.seek(end)


def _checked(frame: Decoded, image: Image, encoder: Encoder) -> bytes:
    """The encoded frame, decoded again and compared."""
    low, high = (-(1 << image.stored - 1), 1 << image.stored - 1) if image.signed else (0, 1 << image.stored)
    if not (low <= int(frame.pixels.min()) and int(frame.pixels.max()) < high):
        raise UnsupportedPixels("bits beyond Bits Stored hold something, such as an overlay", place="PixelData")
    encoded = encoder.encode(frame, image)
    after = encoder.of_rgb if image.photometric == "RGB" else image.photometric
    again = decoded_frame(encoded, replace(image, photometric=after, planar=0), decoder_of(encoder.syntax))
    if again.photometric != image.photometric or not numpy().array_equal(again.pixels, frame.pixels):
        raise BrokenPixels(f"what {encoder.syntax} gives back is not what it was given", place="PixelData")
    return encoded
