"""Between pydicom data sets and `Attributes`: plain dictionaries by keyword, fit for JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VM, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.long_work import pause
from gateway.mapping import frames
from gateway.mapping.language.values import INTEGERS, vr_of
from gateway.records.order import Attributes

BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})
_NUMBERS: Final = frozenset(INTEGERS) - {"IS"}
_FRACTIONS: Final = frozenset({"FD", "FL"})
"""Held as text here, as numbers by pydicom."""


def from_dataset(dataset: Dataset, keywords: Collection[str] | None = None, *, with_empty: bool = False) -> Attributes:
    """The elements named in `keywords` (None: all), without binary ones, private and unknown ones, empty values, and
    values that cannot be read as what their VR says.

    What is given of frames or within the coded anatomy alone is gathered from there (`frames.gathered`).
    `with_empty`: also elements without a value, as "", and sequences without items, as [].
    """
    tags = dataset.keys() if keywords is None else [tag for one in sorted(keywords) if (tag := tag_for_keyword(one))]
    result: Attributes = {}
    for tag in tags:
        element = frames.held(dataset, tag)
        if element is None or not element.keyword or BINARY.intersection(element.VR.split(" or ")):
            continue
        value = _plain(element, with_empty)
        if isinstance(value, list) and element.VR != "SQ" and dictionary_VM(element.tag) == "1":
            # One rule for all attributes of one value: the first counts.
            value = next(filter(None, value), "")
        if with_empty and not value:
            value = [] if element.VR == "SQ" else ""
        if with_empty or value not in ("", [], None):
            result[element.keyword] = value
    if keywords is not None and (missing := frames.GATHERED.intersection(keywords) - result.keys()):
        stated = frames.gathered(dataset, from_dataset)
        result |= {keyword: stated[keyword] for keyword in sorted(missing) if keyword in stated}
    return result


def _plain(element: DataElement, with_empty: bool) -> Any:
    value = element.value
    if value is None:
        return ""
    if element.VR == "SQ":
        return [from_dataset(item, with_empty=with_empty) for item in value]
    if isinstance(value, (MultiValue, list)):
        values = [text for one in value if (text := _text(one).strip())]
        return values[0] if len(values) == 1 else values
    return without_old_marks(element.VR, _text(value).strip(" "))


def without_old_marks(vr: str, text: str) -> str:
    """A date or time of ACR-NEMA 2.0 as DICOM writes it; another text as it is."""
    mark = _OLD_MARKS.get(vr, "")
    return text.replace(mark, "") if mark in text and _OLD_FORMS.fullmatch(text) else text


_OLD_MARKS: Final = {"DA": ".", "TM": ":"}
_OLD_FORMS: Final = re.compile(r"\d{4}\.\d\d\.\d\d|\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
"""Dates and times of ACR-NEMA 2.0, which archives still send (PS3.5 Table 6.2-1, DA and TM)."""


def _text(value: Any) -> str:
    """Without NUL, which pads where it should not and which PostgreSQL holds neither in text nor in JSON."""
    return str(value).replace("\0", "")


def to_dataset(attributes: Attributes) -> Dataset:
    """A data set of the attributes; "" and [] give elements without a value, and so does what a sender gave under
    another VR than the attribute's. Text stays unencoded until somebody sends it."""
    pause()
    dataset = Dataset()
    for keyword, value in attributes.items():
        tag, vr = tag_for_keyword(keyword), vr_of(keyword)
        if tag is None or BINARY.intersection(vr.split(" or ")):
            continue
        try:
            dataset[tag] = DataElement(tag, vr, _value(vr, value))
        except ValueError:
            dataset[tag] = DataElement(tag, vr, None)
    return dataset


def _value(vr: str, value: Any) -> Any:
    """As pydicom holds a value. Raises `ValueError` for one of another VR."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict) is not (vr == "SQ") for one in values):
        raise ValueError(vr)
    if vr == "SQ":
        return Sequence([to_dataset(item) for item in values])
    if value == "":
        return None
    if vr in _NUMBERS | _FRACTIONS:
        number = float if vr in _FRACTIONS else int
        return [number(one) for one in value] if isinstance(value, list) else number(value)
    return value


def look(attributes: Attributes, path: str) -> Any:
    """The value at `path`; `AnatomicRegionSequence.CodeValue` looks into the first item. None if absent."""
    value: Any = attributes
    for part in path.split("."):
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
