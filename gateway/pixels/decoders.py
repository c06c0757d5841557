"""Which decoder reads which transfer syntax, and why that one.

All are of imagecodecs, one package that carries the libraries which other DICOM software decodes with; ADR 0022 says
why. `make pixels` compares what they give with DCMTK and GDCM, sample by sample.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.pixels import syntaxes
from gateway.pixels.codecs import imagecodecs, numpy
from gateway.pixels.faults import BrokenPixels, PixelFault, TooManyPixels, UnsupportedPixels
from gateway.pixels.image import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

END_OF_IMAGE: Final = b"\xff\xd9"
"""Ends a stream of JPEG, JPEG-LS and JPEG 2000."""
_END_BYTES: Final = 10
"""So near to the end of a frame, but for zeros that fill it up."""
_RLE_HEADER: Final = 64
_MOST_SEGMENTS: Final = 15
_REVERSIBLE_OR_NOT: Final = frozenset({"YBR_RCT", "YBR_ICT"})
_COLOURS: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_JPEG_2000_CODING: Final = b"\xff\x52"
"""The marker of the coding style (ISO/IEC 15444-1 A.6.1): its eighth byte says whether components were transformed."""


class Decoded(NamedTuple):
    """A frame: rows, columns and, of colour, samples."""

    pixels: NDArray[Any]
    photometric: str


@dataclass(frozen=True, slots=True)
class Decoder:
    """What reads the frames of a transfer syntax."""

    name: str
    reason: str
    decode: Callable[[bytes, Image], Decoded]
    may_lose: bool = False
    """Frames may have lost something, and have values beyond Bits Stored by it."""


def decoder_of(syntax: str) -> Decoder:
    """The decoder; raises `UnsupportedPixels` for a syntax without one, such as video."""
    decoder = DECODERS.get(syntax)
    if decoder is None:
        raise UnsupportedPixels(f"transfer syntax {syntax or 'unknown'} is not decoded here", place="TransferSyntaxUID")
    return decoder


def decoded_frame(encoded: bytes, image: Image, decoder: Decoder) -> Decoded:
    """The frame in the shape and the container that the data set states.

    Raises `BrokenPixels` for what cannot be decoded or is of another shape, `TooManyPixels` for what memory does not
    hold.
    """
    try:
        frame = decoder.decode(encoded, image)
    except PixelFault:
        raise
    except MemoryError as error:
        raise TooManyPixels("a frame does not fit into memory", place="PixelData") from error
    except Exception as error:
        raise BrokenPixels(f"{decoder.name} cannot decode a frame: {error}", place="PixelData") from error
    shape = (image.rows, image.columns, image.samples) if image.samples > 1 else (image.rows, image.columns)
    if frame.pixels.shape != shape:
        raise BrokenPixels(f"the frame has the shape {frame.pixels.shape}, stated is {shape}", place="PixelData")
    pixels = _within_range(frame.pixels, image) if decoder.may_lose else frame.pixels
    return Decoded(_contained(pixels, image), frame.photometric)


def _within_range(pixels: NDArray[Any], image: Image) -> NDArray[Any]:
    """What a loss took beyond Bits Stored is cut off, or white would be black to whoever reads no other bits.

    Where the data set states no loss, bits beyond may be an overlay.
    """
    if image.lossy != "01" or image.high_bit != image.stored - 1 or not pixels.size:
        return pixels
    if image.signed and pixels.dtype.kind == "u" and int(pixels.max()) >> image.stored:
        pixels = pixels.view(f"i{pixels.dtype.itemsize}")  # the sign is in all bits above those stored
    if image.signed != (pixels.dtype.kind == "i"):
        return pixels
    half = 1 << image.stored - 1
    lowest, highest = (-half, half - 1) if image.signed else (0, 2 * half - 1)
    if lowest <= int(pixels.min()) and int(pixels.max()) <= highest:
        return pixels
    within: NDArray[Any] = pixels.clip(lowest, highest)
    return within


def _contained(pixels: NDArray[Any], image: Image) -> NDArray[Any]:
    """The numbers in Bits Allocated. What a codec took for unsigned has its sign in the highest of Bits Stored."""
    np = numpy()
    bits = max(8, image.allocated)
    if bits not in (8, 16, 32) or pixels.dtype.kind not in "iu":
        raise UnsupportedPixels(f"{image.allocated} bits a sample as {pixels.dtype}", place="BitsAllocated")
    if pixels.dtype.itemsize * 8 > bits:
        lowest, highest = (-(1 << bits - 1), 1 << bits - 1) if image.signed else (0, 1 << bits)
        if pixels.size and not (lowest <= int(pixels.min()) and int(pixels.max()) < highest):
            raise BrokenPixels(f"the frame has values of more than {bits} bits", place="BitsAllocated")
    if image.signed and pixels.dtype.kind == "u" and image.high_bit == image.stored - 1 < bits:
        shift = bits - image.stored
        moved = pixels.astype(f"<i{bits // 8}", copy=False) << shift
        pixels = moved >> shift
    contained: NDArray[Any] = np.ascontiguousarray(pixels.astype(f"<{'i' if image.signed else 'u'}{bits // 8}"))
    return contained


def _require_end(encoded: bytes) -> None:
    """libjpeg-turbo and OpenJPH give a picture also of a stream that is cut off, and do not tell."""
    if END_OF_IMAGE not in encoded.rstrip(b"\0")[-_END_BYTES:]:
        raise BrokenPixels("a frame is cut off: it has no End of Image", place="PixelData")


def _jpeg(encoded: bytes, image: Image) -> Decoded:
    """Colour as the data set states it, as GDCM and DCMTK do: not every stream tells whether it was transformed."""
    _require_end(encoded)
    if image.samples == 1:
        return Decoded(imagecodecs().jpeg8_decode(encoded), image.photometric)
    if image.photometric in _COLOURS:
        return Decoded(imagecodecs().jpeg8_decode(encoded, colorspace="YCBCR", outcolorspace="RGB"), "RGB")
    if image.photometric != "RGB":
        raise UnsupportedPixels(f"JPEG with {image.photometric}", place="PhotometricInterpretation")
    return Decoded(imagecodecs().jpeg8_decode(encoded, colorspace="RGB", outcolorspace="RGB"), "RGB")


def _jpeg_lossless(encoded: bytes, image: Image) -> Decoded:
    """The lossless processes transform no colour: samples stay as they are (ISO/IEC 10918-1 Annex H)."""
    _require_end(encoded)
    if image.samples == 1:
        return Decoded(imagecodecs().jpeg8_decode(encoded), image.photometric)
    return Decoded(imagecodecs().jpeg8_decode(encoded, colorspace="RGB", outcolorspace="RGB"), _full(image.photometric))


def _jpeg_ls(encoded: bytes, image: Image) -> Decoded:
    return Decoded(imagecodecs().jpegls_decode(encoded), _full(image.photometric))


def _jpeg_2000(encoded: bytes, image: Image) -> Decoded:
    return Decoded(imagecodecs().jpeg2k_decode(encoded, planar=False), _after_transform(encoded, image))


def _htj2k(encoded: bytes, image: Image) -> Decoded:
    _require_end(encoded)
    return Decoded(imagecodecs().htj2k_decode(encoded, planar=False), _after_transform(encoded, image))


def _htj2k_lossy(encoded: bytes, image: Image) -> Decoded:
    """What the loss takes beyond the range is cut off: OpenJPH in imagecodecs lets it become 0, or one bit more."""
    _require_end(encoded)
    return _jpeg_2000(encoded, image)


def _jpeg_xl(encoded: bytes, image: Image) -> Decoded:
    pixels = imagecodecs().jpegxl_decode(encoded)
    return Decoded(pixels, "RGB" if image.samples == 3 else image.photometric)


def _jpeg_in_jpeg_xl(encoded: bytes, image: Image) -> Decoded:
    """The JPEG as it was: libjxl itself would give pixels that are up to 11 of 255 levels apart from the JPEG's."""
    return _jpeg(imagecodecs().jpegxl_decode_jpeg(encoded), image)


def _after_transform(encoded: bytes, image: Image) -> str:
    """OpenJPEG and OpenJPH undo the transform of components: what had one is RGB."""
    at = encoded.find(_JPEG_2000_CODING)
    transformed = 0 <= at < len(encoded) - 8 and encoded[at + 8] == 1
    if image.samples == 3 and (transformed or image.photometric in _REVERSIBLE_OR_NOT):
        return "RGB"
    return _full(image.photometric)


def _full(photometric: str) -> str:
    """A codec gives as many samples of chroma as of luma."""
    return "YBR_FULL" if photometric == "YBR_FULL_422" else photometric


def _rle(encoded: bytes, image: Image) -> Decoded:
    """PS3.5 Annex G: a segment for each byte of each sample, the most significant byte first."""
    np = numpy()
    count, *offsets = struct.unpack_from("<16L", encoded.ljust(_RLE_HEADER, b"\0"))
    width = max(8, image.allocated) // 8
    if count != image.samples * width or count > _MOST_SEGMENTS:
        raise BrokenPixels(f"{count} RLE segments, stated are {image.samples * width}", place="PixelData")
    size = image.rows * image.columns
    planes = np.empty((image.samples, width, size), np.uint8)
    for number, (start, end) in enumerate(zip(offsets, [*offsets[1:count], len(encoded)], strict=False)):
        if number == count:
            break
        segment = unpacked(encoded[start:end], size)
        planes[number // width, width - 1 - number % width] = np.frombuffer(segment, np.uint8)
    samples = np.ascontiguousarray(planes.transpose(2, 0, 1)).view(f"<u{width}")
    shape = (image.rows, image.columns, image.samples) if image.samples > 1 else (image.rows, image.columns)
    return Decoded(samples.reshape(shape), _full(image.photometric))


def unpacked(segment: bytes, size: int) -> bytes:
    """`size` bytes of an RLE segment (PS3.5 G.3.2), which may end with bytes that fill it up.

    Raises `BrokenPixels` for one that is short: what is not there would be black.
    """
    out = bytearray(size)
    there = len(imagecodecs().packbits_decode(segment, out=out))
    if there != size:
        raise BrokenPixels(f"an RLE segment has {there} bytes, stated are {size}", place="PixelData")
    return bytes(out)


def _deflated(encoded: bytes, image: Image) -> Decoded:
    size = image.frame_bytes
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, size + 1)
    return native_frame(data, image)


def _uncompressed(encoded: bytes, image: Image) -> Decoded:
    return native_frame(encoded[: image.frame_bytes], image)


def native_frame(data: bytes, image: Image) -> Decoded:
    """A frame that is not compressed: the numbers as they are."""
    np = numpy()
    if len(data) != image.frame_bytes:
        raise BrokenPixels(f"a frame has {len(data)} bytes, stated are {image.frame_bytes}", place="PixelData")
    if image.allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: image.rows * image.columns]
        return Decoded(bits.reshape(image.rows, image.columns), image.photometric)
    if image.allocated % 8 or image.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        raise UnsupportedPixels(f"{image.photometric} of {image.allocated} bits", place="PixelData")
    kind = "f" if image.is_float else "i" if image.signed else "u"
    numbers = np.frombuffer(data, f"<{kind}{image.allocated // 8}")
    if image.samples == 1:
        return Decoded(numbers.reshape(image.rows, image.columns), image.photometric)
    if image.planar:
        planes = numbers.reshape(image.samples, image.rows, image.columns)
        return Decoded(np.ascontiguousarray(planes.transpose(1, 2, 0)), image.photometric)
    return Decoded(numbers.reshape(image.rows, image.columns, image.samples), image.photometric)


_TURBO: Final = "libjpeg-turbo"
_AS_DCMTK: Final = "the same numbers as DCMTK and GDCM, which use the code of the IJG"
_CHARLS: Final = "the library that DCMTK and GDCM use as well"
_OPENJPEG: Final = "the library that GDCM uses as well"
_OPENJPH: Final = "reads what OpenJPEG refuses of HTJ2K, several times as quick"
_LIBJXL: Final = "the reference decoder of ISO/IEC 18181"
DECODERS: Final = {
    syntaxes.JPEG_BASELINE: Decoder(_TURBO, _AS_DCMTK, _jpeg, may_lose=True),
    syntaxes.JPEG_EXTENDED: Decoder(_TURBO, _AS_DCMTK + "; reads 12 bits", _jpeg, may_lose=True),
    syntaxes.JPEG_LOSSLESS: Decoder(_TURBO, _AS_DCMTK + "; reads 16 bits", _jpeg_lossless),
    syntaxes.JPEG_LOSSLESS_FIRST_ORDER: Decoder(_TURBO, _AS_DCMTK + "; reads 16 bits", _jpeg_lossless),
    syntaxes.JPEG_LS: Decoder("CharLS", _CHARLS, _jpeg_ls),
    syntaxes.JPEG_LS_NEAR: Decoder("CharLS", _CHARLS, _jpeg_ls, may_lose=True),
    syntaxes.JPEG_2000_LOSSLESS: Decoder("OpenJPEG", _OPENJPEG, _jpeg_2000),
    syntaxes.JPEG_2000: Decoder("OpenJPEG", _OPENJPEG, _jpeg_2000, may_lose=True),
    syntaxes.HTJ2K_LOSSLESS: Decoder("OpenJPH", _OPENJPH, _htj2k),
    syntaxes.HTJ2K_LOSSLESS_RPCL: Decoder("OpenJPH", _OPENJPH, _htj2k),
    syntaxes.HTJ2K: Decoder(
        "OpenJPEG", "keeps values in their range, which OpenJPH in imagecodecs does not", _htj2k_lossy, may_lose=True
    ),
    syntaxes.JPEG_XL_LOSSLESS: Decoder("libjxl", _LIBJXL, _jpeg_xl),
    syntaxes.JPEG_XL_RECOMPRESSED: Decoder(
        f"libjxl and {_TURBO}", "the JPEG as it was, then as JPEG", _jpeg_in_jpeg_xl
    ),
    syntaxes.JPEG_XL: Decoder("libjxl", _LIBJXL, _jpeg_xl, may_lose=True),
    syntaxes.RLE: Decoder("PackBits of imagecodecs", "PS3.5 Annex G is PackBits by bytes of samples", _rle),
    syntaxes.DEFLATED_FRAMES: Decoder("zlib", "part of Python", _deflated),
    syntaxes.ENCAPSULATED_UNCOMPRESSED: Decoder("none", "the frames are not compressed", _uncompressed),
}
"""Transfer syntax -> decoder."""
