"""Decoded elements of a data set -> `Attributes`, by the rules of `from_dataset`, without a pydicom data set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VM, keyword_for_tag

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.long_work import pause
from gateway.mapping.attributes import BINARY, without_old_marks
from gateway.records.order import Attributes
from gateway.worklist.items import Decoded


def of_elements(elements: Mapping[int, Decoded]) -> Attributes:
    """Every attribute that has a keyword and is not binary; without a value "", a sequence without items []."""
    pause()
    result: Attributes = {}
    for tag, element in elements.items():
        keyword, has_one_value = _entry(tag)
        if keyword and element.vr not in BINARY:
            result[keyword] = _value(element, has_one_value)
    return result


def _value(element: Decoded, has_one_value: bool) -> Any:
    if element.vr == "SQ":
        return [of_elements(item) for item in element.items]
    # A text of several lines keeps those at its end.
    blanks = None if len(element.values) > 1 else " "
    values = [value for one in element.values if (value := one.replace("\0", "").strip(blanks))]
    if element.vr in ("DA", "TM"):
        values = [without_old_marks(element.vr, value) for value in values]
    if has_one_value or len(values) < 2:
        # One rule for all attributes of one value: the first counts.
        return values[0] if values else ""
    return values


@lru_cache(maxsize=4096)
def _entry(tag: int) -> tuple[str, bool]:
    """Keyword of a tag, and whether PS3.6 gives the attribute one value."""
    keyword = str(keyword_for_tag(tag))
    return keyword, bool(keyword) and dictionary_VM(tag) == "1"
