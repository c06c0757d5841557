"""A small JPEG of an instance, for a person who wants to see what arrived. Not for diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.pixels.codecs import imagecodecs, numpy
from gateway.pixels.display import display_of
from gateway.pixels.faults import TooManyPixels, UnsupportedPixels
from gateway.pixels.frames import frame_of
from gateway.pixels.grey import grey_levels
from gateway.pixels.image import Image, image_of
from gateway.pixels.part10 import opened
from gateway.pixels.scaling import picked, scaled, size_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDGE: Final = 512
"""Pixels of the longer edge, at most."""
MOST_PIXELS: Final = 100_000_000
"""Of a frame: what decodes to more is not shown."""
MOST_INFLATED: Final = 512 << 20
"""Bytes of a deflated data set: they take of the disk on which instances arrive, and who looks may look at many."""
_QUALITY: Final = 85
_CHROMA: Final = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""YBR_FULL to RGB (PS3.3 C.7.6.3.1.2)."""
_GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2", ""})


def preview(path: Path) -> bytes:
    """A JPEG of the middle frame, `EDGE` pixels a side at most; raises `PixelFault` where there is nothing to show."""
    with opened(path, MOST_INFLATED) as file:
        image = image_of(file.data, file.at, file.end, file.encoding, with_floats=True)
        if image.rows * image.columns > MOST_PIXELS:
            raise TooManyPixels(f"a frame of {image.rows} x {image.columns} pixels is not shown", place="Rows")
        number = image.frames // 2
        frame = frame_of(file, image, number)
        display = display_of(file, number)
    size = size_within(EDGE, image.rows * display.row_to_column, image.columns)
    if frame.photometric in _GREY and image.samples == 1:
        levels = grey_levels(frame.pixels, size, display)
        if (frame.photometric == "MONOCHROME1") or display.is_inverse:
            levels = 255 - levels
    elif frame.photometric == "PALETTE COLOR":
        levels = _of_palette(picked(frame.pixels, size), display.palettes)
    elif image.samples == 3 and frame.photometric in ("RGB", "YBR_FULL"):
        levels = _of_colour(scaled(frame.pixels, size), image, is_ybr=frame.photometric == "YBR_FULL")
    else:
        raise UnsupportedPixels(f"{frame.photometric} is not shown", place="PhotometricInterpretation")
    encoded: bytes = imagecodecs().jpeg8_encode(numpy().ascontiguousarray(levels), level=_QUALITY)
    return encoded


def _of_palette(indexes: NDArray[Any], palettes: Any) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_color_lut

    colours = apply_color_lut(indexes, palettes)
    # Tables of 16 bits whose entries fill 8 alone are met often.
    return _eight_bits(colours, 16 if int(colours.max(initial=0)) > 255 else 8)


def _of_colour(samples: NDArray[Any], image: Image, *, is_ybr: bool) -> NDArray[Any]:
    np = numpy()
    levels = samples / float(1 << max(0, image.stored - 8))
    if is_ybr:
        levels = (levels - np.array([0.0, 128.0, 128.0], np.float32)) @ np.array(_CHROMA, np.float32).T
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)  # type: ignore[no-any-return]


def _eight_bits(values: NDArray[Any], bits: int) -> NDArray[Any]:
    return (values >> (bits - 8)).astype(numpy().uint8)
