"""What a data set states about how its image is shown: values of one frame, whatever is missing or odd left out.

Only the elements that are needed are decoded: functional groups of 20,000 frames stay in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeVar

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from gateway.pixels.elements import Element, Item, elements_of, end_of, items_of
from gateway.pixels.part10 import DicomFile

T = TypeVar("T")

_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_WANTED: Final = frozenset(
    {
        0x00280030, 0x00280034, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00283000, 0x00283010,
        0x00280120, 0x00280122, 0x00280123, 0x20500020, _SHARED,
        *range(0x00281101, 0x00281104), *range(0x00281201, 0x00281204), *range(0x00281221, 0x00281224),
    }
)  # fmt: skip
"""Spacing, aspect, window, rescaling, lookup tables, padding, Presentation LUT Shape and palettes."""
_LONGEST: Final = 8 << 20
"""Bytes of one such element."""


@dataclass(frozen=True, slots=True)
class Display:
    """How the values of one frame become grey levels."""

    palettes: Dataset
    rescale: tuple[float, float]
    """Slope and intercept."""
    modality_lut: Dataset | None
    voi_lut: Dataset | None
    window: tuple[float, float] | None
    """Center and width."""
    function: str
    """VOI LUT Function (PS3.3 C.11.2.1.3)."""
    padding: float | None
    is_inverse: bool
    """Presentation LUT Shape INVERSE."""
    row_to_column: float
    """The height of a pixel by its width."""


def display_of(file: DicomFile, frame: int) -> Display:
    """How frame `frame` (from 0) is shown; never fails for a value that is odd."""
    top = _data_set(file, Item(file.at, file.end, file.encoding), lambda element: element.tag in _WANTED)
    groups = [
        *_per_frame(file, frame),
        *_items(top, "SharedFunctionalGroupsSequence"),
    ]
    windows = [*_inner(groups, "FrameVOILUTSequence"), top]
    values = [*_inner(groups, "PixelValueTransformationSequence"), top]
    measures = [*_inner(groups, "PixelMeasuresSequence"), top]
    center, width = _first(windows, "WindowCenter", _number), _first(windows, "WindowWidth", _number)
    slope, intercept = _first(values, "RescaleSlope", _number), _first(values, "RescaleIntercept", _number)
    return Display(
        top, (slope or 1.0, intercept or 0.0), _lut(top, "ModalityLUTSequence"), _lut(top, "VOILUTSequence"),
        (center, width) if center is not None and width is not None and width > 0 else None,
        _first(windows, "VOILUTFunction", str) or "LINEAR", _padding(top),
        _first([top], "PresentationLUTShape", str) == "INVERSE", _shape(top, measures),
    )  # fmt: skip


def _padding(top: Dataset) -> float | None:
    """Of whole numbers, or of floating point ones."""
    names = ("PixelPaddingValue", "FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue")
    return next((value for name in names if (value := _first([top], name, float)) is not None), None)


def _shape(top: Dataset, measures: list[Dataset]) -> float:
    for place, name in ((top, "PixelAspectRatio"), *((one, "PixelSpacing") for one in measures)):
        both = _first([place], name, lambda value: tuple(float(one) for one in value))
        if both is not None and len(both) == 2 and min(both) > 0 and 1 / 8 <= both[0] / both[1] <= 8:
            return both[0] / both[1]
    return 1.0


def _lut(place: Dataset, name: str) -> Dataset | None:
    return next((item for item in _items(place, name) if "LUTData" in item and "LUTDescriptor" in item), None)


def _number(value: Any) -> float:
    """The first of several: others are further views."""
    return float(value if isinstance(value, int | float | str) else value[0])


def _first(places: list[Dataset], name: str, read: Callable[[Any], T]) -> T | None:
    for place in places:
        try:
            value = place.get(name)
            if value is not None and value != "":
                return read(value)
        except Exception:  # pydicom raises whatever an odd value leads to
            continue
    return None


def _items(place: Dataset, name: str) -> list[Dataset]:
    return _first([place], name, list) or []


def _inner(groups: list[Dataset], name: str) -> list[Dataset]:
    return [item for group in groups for item in _items(group, name)]


def _per_frame(file: DicomFile, frame: int) -> Iterator[Dataset]:
    for element in elements_of(file.data, file.at, file.end, file.encoding):
        if element.tag < _PER_FRAME:
            continue
        if element.tag == _PER_FRAME:
            for number, item in enumerate(items_of(file.data, element, file.end, file.encoding)):
                if number == frame:
                    yield _data_set(file, item, lambda one: True)
                    return
        return


def _data_set(file: DicomFile, item: Item, wanted: Callable[[Element], bool]) -> Dataset:
    """The wanted elements between two places, up to the pixels, as pydicom reads them."""
    encoded = bytearray()
    for element in elements_of(file.data, item.at, item.end, item.encoding):
        if element.tag >> 16 >= 0x7FE0:
            break
        if wanted(element):
            end = end_of(file.data, element, item.end, item.encoding)
            if end - element.start <= _LONGEST:
                encoded += file.data[element.start : end]
    return read_dataset(BytesIO(bytes(encoded)), item.encoding.implicit, item.encoding.little)
