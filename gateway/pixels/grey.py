"""From stored values to grey levels (PS3.3 C.11.1, C.11.2): modality transform, then the first view that is stated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydicom.dataset import Dataset

from gateway.pixels.codecs import numpy
from gateway.pixels.display import Display
from gateway.pixels.scaling import Size, picked, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PERCENTILES: Final = (1.0, 99.0)
_LEAST_CONTRAST: Final = 8
"""Grey levels between the darkest and the lightest: a view with fewer was meant for other values."""


def grey_levels(pixels: NDArray[Any], size: Size, display: Display) -> NDArray[Any]:
    """Levels 0 to 255 of a frame made small, dark for low values."""
    np = numpy()
    shown = picked(pixels, size)
    is_padding = ~np.isfinite(shown)
    if display.padding is not None:
        is_padding |= shown == display.padding
    # Numbers that are none may stand beside those that are picked, and would be in their means.
    is_picked = is_padding.any() or pixels.dtype.kind == "f"
    values = _of_modality(np.where(is_padding, 0, shown) if is_picked else scaled(pixels, size), display)
    levels = _viewed(values, display)
    if levels is None or _contrast(levels[~is_padding]) < _LEAST_CONTRAST:
        levels = _stretched(values, values[~is_padding])
    levels[is_padding] = 0
    return levels.astype(np.uint8)


def _of_modality(values: NDArray[Any], display: Display) -> NDArray[Any]:
    if display.modality_lut is not None:
        return _through(values, display.modality_lut)[0]
    slope, intercept = display.rescale
    return values.astype(numpy().float32) * slope + intercept


def _viewed(values: NDArray[Any], display: Display) -> NDArray[Any] | None:
    if display.voi_lut is not None:
        looked_up, highest = _through(values, display.voi_lut)
        return looked_up * (255.0 / highest)
    if display.window is None:
        return None
    return _windowed(values, *display.window, display.function)


def _windowed(values: NDArray[Any], center: float, width: float, function: str) -> NDArray[Any]:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3."""
    np = numpy()
    if function == "SIGMOID":
        levels = 255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -60, 60)))
    elif function == "LINEAR_EXACT" or width <= 1:
        levels = (values - center) / width * 255.0 + 127.5
    else:
        levels = ((values - (center - 0.5)) / (width - 1.0) + 0.5) * 255.0
    return np.clip(levels, 0.0, 255.0)  # type: ignore[no-any-return]


def _through(values: NDArray[Any], item: Dataset) -> tuple[NDArray[Any], float]:
    """Values through a lookup table, and the highest it can give (PS3.3 C.11.1.1, C.11.2.1.1)."""
    np = numpy()
    count, first, bits = (int(one) for one in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, np.uint8 if len(data) <= (count or 1 << 16) else "<u2")
    table = np.asarray(data).astype(np.float32)
    if first >= 1 << 15 and values.min(initial=0) < 0:
        first -= 1 << 16
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, table.size - 1)
    return table[places], float(max(1, (1 << min(16, bits)) - 1))


def _contrast(levels: NDArray[Any]) -> float:
    return float(levels.max() - levels.min()) if levels.size else 0.0


def _stretched(values: NDArray[Any], counted: NDArray[Any]) -> NDArray[Any]:
    """No view is stated, or one that shows nothing: nearly all values between dark and light."""
    np = numpy()
    if not counted.size:
        return np.zeros(values.shape, np.float32)  # type: ignore[no-any-return]
    low, high = np.percentile(counted, _PERCENTILES)
    if high <= low:
        low, high = float(counted.min()), float(counted.max())
    span = max(float(high - low), 1e-6)
    return np.clip((values - low) * (255.0 / span), 0, 255)  # type: ignore[no-any-return]
