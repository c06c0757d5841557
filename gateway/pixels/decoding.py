"""An instance without compression, for a receiver that takes no other (PS3.5 8.2, A.4).

Changed is what the encoding asks: Photometric Interpretation where a colour transform was undone, Planar Configuration,
the offset tables, which native Pixel Data do not have, and Lossy Image Compression where the lossy process was stated
by the transfer syntax alone. SOP Instance UID and everything else stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from gateway.pixels import image as attributes
from gateway.pixels import syntaxes
from gateway.pixels.bits import Bits
from gateway.pixels.decoders import Decoded, decoded_frame, decoder_of
from gateway.pixels.elements import Item
from gateway.pixels.faults import BrokenPixels, NoPixels, UnsupportedPixels
from gateway.pixels.fragments import encoded_frame, frames_of
from gateway.pixels.image import Image, image_of
from gateway.pixels.part10 import DicomFile, opened
from gateway.pixels.rewriting import NO_CHANGES, Changes, Rewriting, Stream, Value, write_meta
from gateway.pixels.targets import whole_or_none

ALWAYS_LOSSY: Final = frozenset({syntaxes.JPEG_BASELINE, syntaxes.JPEG_EXTENDED})
"""The DCT processes; the others may be used without loss."""


def decoded(source: Path, target: Path, syntax: str) -> None:
    """Write the instance of `source` to `target` in Implicit or Explicit VR Little Endian, frame by frame.

    Raises `PixelFault` with the reason, and leaves no target then: there is never an instance without its Pixel Data.
    """
    encoding = syntaxes.TARGETS.get(syntax)
    if encoding is None:
        raise UnsupportedPixels(f"{syntax} is not a transfer syntax without compression", place="TransferSyntaxUID")
    with opened(source) as file, whole_or_none(target) as output:
        write_meta(file, output, syntax)
        image = _image_of(file, Item(file.at, file.end, file.encoding))
        signed = image is not None and image.signed
        rewriting = Rewriting(file, output, encoding, signed, lambda item: _of_icon(file, item))
        if not file.encoding.little and image is not None and image.allocated > 16:
            raise UnsupportedPixels(f"big endian pixels of {image.allocated} bits", place="BitsAllocated")
        is_native = file.syntax in syntaxes.NATIVE
        if not is_native and image is not None and not image.pixels.holds_fragments:
            raise BrokenPixels(
                "the transfer syntax is an encapsulated one, the Pixel Data are native", place="PixelData"
            )
        rewriting.data_set(file.at, file.end, file.encoding, _changes(file, image))


def _image_of(file: DicomFile, item: Item) -> Image | None:
    """None: there are no pixels, or none that are compressed and described badly: they are copied."""
    try:
        return image_of(file.data, item.at, item.end, item.encoding)
    except NoPixels:
        return None
    except BrokenPixels:
        if file.syntax in syntaxes.NATIVE:
            return None
        raise


def _of_icon(file: DicomFile, item: Item) -> Changes:
    """An icon may be compressed as the image is, or not at all; it has no Lossy Image Compression (PS3.3 F.7)."""
    changes = dict(_changes(file, _image_of(file, item)))
    changes.pop(attributes.LOSSY, None)
    return changes


def _changes(file: DicomFile, image: Image | None) -> Changes:
    """What is different without the compression. The first frame is decoded for it: it tells the colour space."""
    if image is None or not image.pixels.holds_fragments:
        return NO_CHANGES
    decoder = decoder_of(file.syntax)
    frames = frames_of(file, image)

    def frame(number: int) -> Decoded:
        return decoded_frame(encoded_frame(file, frames[number]), image, decoder)

    first = frame(0)
    length = image.native_length(first.pixels.size * image.allocated)
    changes: dict[int, Value | Stream | None] = {
        attributes.OFFSETS: None, attributes.OFFSET_LENGTHS: None, attributes.TOTAL_LENGTH: None,
        attributes.PIXELS: Stream(
            "OB" if image.allocated <= 8 else "OW", length, lambda output: _write(output, image, first, frame, length)
        ),
    }  # fmt: skip
    if first.photometric != image.photometric:
        changes[attributes.PHOTOMETRIC] = Value("CS", first.photometric.encode() + b" " * (len(first.photometric) % 2))
    if image.samples > 1 and image.planar:
        changes[attributes.PLANAR] = Value("US", b"\0\0")
    if file.syntax in ALWAYS_LOSSY and image.lossy is None:
        changes[attributes.LOSSY] = Value("CS", b"01")
    return changes


def _write(output: BinaryIO, image: Image, first: Decoded, frame: Callable[[int], Decoded], length: int) -> None:
    begin = output.tell()
    bits = Bits(image.allocated)
    for one in _agreeing(image, first, frame):
        output.write(bits.packed(one.pixels))
    output.write(bits.rest())
    output.write(bytes(length - (output.tell() - begin)))


def _agreeing(image: Image, first: Decoded, frame: Callable[[int], Decoded]) -> Iterator[Decoded]:
    yield first
    for number in range(1, image.frames):
        one = frame(number)
        if one.photometric != first.photometric:
            raise BrokenPixels(f"frame {number + 1} has another colour space than the first", place="PixelData")
        yield one
