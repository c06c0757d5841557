"""Single frames of a file that is open, whether they are compressed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.pixels.codecs import numpy
from gateway.pixels.decoders import Decoded, decoded_frame, decoder_of, native_frame
from gateway.pixels.faults import BrokenPixels, UnsupportedPixels
from gateway.pixels.fragments import encoded_frame, frames_of
from gateway.pixels.image import Image
from gateway.pixels.part10 import DicomFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUBSAMPLED: Final = "YBR_FULL_422"


def frame_of(file: DicomFile, image: Image, number: int) -> Decoded:
    """Frame `number`, from 0; raises `PixelFault`."""
    if image.pixels.holds_fragments:
        frames = frames_of(file, image)
        return decoded_frame(encoded_frame(file, frames[number]), image, decoder_of(file.syntax))
    frame = native_frame_of(file, image, number)
    return Decoded(_stored(frame.pixels, image), frame.photometric)


def native_frame_of(file: DicomFile, image: Image, number: int) -> Decoded:
    """Frame `number` of pixels that are not compressed, with all its bits."""
    at, bits = image.pixels.at, image.frame_bits
    start, end = number * bits // 8, ((number + 1) * bits + 7) // 8
    if end > image.pixels.length:
        raise BrokenPixels(f"frame {number + 1} is not there", place="PixelData")
    if file.encoding.little or image.pixels.vr != "OW":
        data = file.read(at + start, end - start)
    else:
        data = _turned(file, image, start, end)
    if image.photometric == SUBSAMPLED:
        return Decoded(_upsampled(data, image), "YBR_FULL")
    if image.allocated == 1:
        return Decoded(_bits(data, number * bits % 8, image), image.photometric)
    return native_frame(data, image)


def _turned(file: DicomFile, image: Image, start: int, end: int) -> bytes:
    """Pixels of big endian words (PS3.5 A.3, 8.1.1), eight bits in pairs; of more than 16 bits makers differ."""
    if image.allocated > 16:
        raise UnsupportedPixels(f"big endian pixels of {image.allocated} bits", place="BitsAllocated")
    first = start - start % 2
    words = file.read(image.pixels.at + first, end + end % 2 - first)
    turned: bytes = numpy().frombuffer(words[: len(words) // 2 * 2], ">u2").astype("<u2").tobytes()
    return turned[start - first : end - first]


def _stored(pixels: NDArray[Any], image: Image) -> NDArray[Any]:
    """The values in Bits Stored alone: the other bits may hold anything, such as an overlay (PS3.5 8.1.1)."""
    if image.stored >= image.allocated or image.high_bit >= image.allocated:
        return pixels
    above = image.allocated - 1 - image.high_bit
    return pixels << above >> (image.allocated - image.stored)


def _bits(data: bytes, skipped: int, image: Image) -> NDArray[Any]:
    """A frame of single bits that begins within a byte (PS3.5 8.1.1)."""
    np = numpy()
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    pixels: NDArray[Any] = bits[skipped : skipped + image.frame_bits].reshape(image.rows, image.columns)
    return pixels


def _upsampled(data: bytes, image: Image) -> NDArray[Any]:
    """Y1 Y2 Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    np = numpy()
    pairs = np.frombuffer(data, np.uint8)[: image.rows * image.columns * 2].reshape(image.rows, image.columns // 2, 4)
    luma = pairs[:, :, :2].reshape(image.rows, image.columns)
    blue, red = (np.repeat(pairs[:, :, place], 2, axis=1) for place in (2, 3))
    pixels: NDArray[Any] = np.stack([luma, blue, red], axis=2)
    return pixels
