"""Which encoder writes which lossless transfer syntax. There is none for a lossy one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.pixels import syntaxes
from gateway.pixels.bits import Bits
from gateway.pixels.codecs import imagecodecs, numpy
from gateway.pixels.decoders import Decoded
from gateway.pixels.image import Image


@dataclass(frozen=True, slots=True)
class Encoder:
    """What writes the frames of a transfer syntax."""

    syntax: str
    encode: Callable[[Decoded, Image], bytes]
    of_rgb: str = "RGB"
    """Photometric Interpretation of what was RGB."""
    takes_bits: bool = False
    """Frames of one bit a pixel."""


def _jpeg_2000(frame: Decoded, image: Image) -> bytes:
    encoded: bytes = imagecodecs().jpeg2k_encode(
        frame.pixels, level=0, codecformat="j2k", reversible=True, mct=frame.photometric == "RGB",
        bitspersample=image.stored,
    )  # fmt: skip
    return encoded


def _htj2k(frame: Decoded, image: Image) -> bytes:
    encoded: bytes = imagecodecs().htj2k_encode(frame.pixels, reversible=True, rgb=frame.photometric == "RGB")
    return encoded


def _jpeg_ls(frame: Decoded, image: Image) -> bytes:
    """Signed values as the unsigned ones of the same bits: JPEG-LS knows no sign."""
    encoded: bytes = imagecodecs().jpegls_encode(frame.pixels.view(f"<u{frame.pixels.dtype.itemsize}"), level=0)
    return encoded


def _rle(frame: Decoded, image: Image) -> bytes:
    """PS3.5 Annex G: segments by byte of each sample, the most significant first, each row packed for itself."""
    np = numpy()
    width = frame.pixels.dtype.itemsize
    bytes_of = (
        np.ascontiguousarray(frame.pixels).view(np.uint8).reshape(image.rows, image.columns, image.samples, width)
    )
    segments = []
    for sample in range(image.samples):
        for place in reversed(range(width)):
            segment = imagecodecs().packbits_encode(np.ascontiguousarray(bytes_of[:, :, sample, place]), axis=-1)
            segments.append(bytes(segment) + bytes(len(segment) % 2))
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(offsets))) + b"".join(segments)


def _deflate(frame: Decoded, image: Image) -> bytes:
    bits = Bits(image.allocated)
    deflator = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflator.compress(bits.packed(frame.pixels) + bits.rest()) + deflator.flush()


ENCODERS: Final = {
    "lossless-jpeg2000": Encoder(syntaxes.JPEG_2000_LOSSLESS, _jpeg_2000, of_rgb="YBR_RCT"),
    "htj2k": Encoder(syntaxes.HTJ2K_LOSSLESS, _htj2k, of_rgb="YBR_RCT"),
    "jpeg-ls": Encoder(syntaxes.JPEG_LS, _jpeg_ls),
    "rle": Encoder(syntaxes.RLE, _rle),
    "deflate": Encoder(syntaxes.DEFLATED_FRAMES, _deflate, takes_bits=True),
}
"""The method as a site names it -> encoder."""
