"""Making a frame small: each pixel the mean of those it stands for, or one of them where a mean has no meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.pixels.codecs import numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, int]
"""Rows, columns."""


def size_within(edge: int, height: float, width: float) -> Size:
    """The size of what is `height` by `width`, with no side longer than `edge`; nothing is made larger for it."""
    factor = min(1.0, edge / max(height, width))
    return max(1, min(edge, round(height * factor))), max(1, min(edge, round(width * factor)))


def scaled(pixels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Means, as floating point numbers."""
    np = numpy()
    means = pixels
    for axis, length in enumerate(size):
        starts = _starts(pixels.shape[axis], length)
        counts = np.maximum(1, np.diff(np.append(starts, pixels.shape[axis])))
        shape = [1] * pixels.ndim
        shape[axis] = length
        means = np.add.reduceat(means, starts, axis=axis, dtype=np.float32) / counts.reshape(shape).astype(np.float32)
    return means


def picked(pixels: NDArray[Any], size: Size) -> NDArray[Any]:
    """Pixels as they are, one for each place: indexes of a palette have no mean."""
    rows, columns = (_starts(pixels.shape[axis], size[axis]) for axis in (0, 1))
    places: NDArray[Any] = pixels[rows][:, columns]
    return places


def _starts(length: int, wanted: int) -> NDArray[Any]:
    np = numpy()
    starts: NDArray[Any] = np.arange(wanted, dtype=np.int64) * length // wanted
    return starts
