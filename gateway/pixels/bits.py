"""Frames one after another as native Pixel Data have them: of one bit each, they share bytes (PS3.5 8.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.pixels.codecs import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Bits:
    """The bytes of frames of `allocated` bits a sample."""

    def __init__(self, allocated: int) -> None:
        self._is_single = allocated == 1
        self._left = numpy().zeros(0, numpy().uint8)

    def packed(self, pixels: NDArray[Any]) -> bytes:
        """The whole bytes that are there after a further frame."""
        if not self._is_single:
            return pixels.tobytes()
        np = numpy()
        bits = np.concatenate([self._left, pixels.ravel().astype(np.uint8)])
        whole = bits.size - bits.size % 8
        self._left = bits[whole:]
        packed: bytes = np.packbits(bits[:whole], bitorder="little").tobytes()
        return packed

    def rest(self) -> bytes:
        """The last bits, filled up with zeros."""
        packed: bytes = numpy().packbits(self._left, bitorder="little").tobytes()
        return packed
