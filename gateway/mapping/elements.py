"""Decoded elements of a data set -> `Attributes`, by the rules of `from_dataset`, without a pydicom data set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import dictionary_VM, keyword_for_tag

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.long_work import pause
from gateway.mapping import frames
from gateway.mapping.attributes import BINARY, without_old_marks
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.worklist.items import Decoded


def of_elements(elements: Mapping[int, Decoded], *, with_empty: bool = True) -> Attributes:
    """Every attribute that has a keyword and is not binary; without a value "", a sequence without items [], unless
    `with_empty` leaves them out."""
    pause()
    result: Attributes = {}
    for tag, element in elements.items():
        keyword, has_one_value = _entry(tag)
        if keyword and element.vr not in BINARY:
            value = _value(element, has_one_value, with_empty)
            if with_empty or value not in ("", []):
                result[keyword] = value
    return result


def of_levels(elements: Mapping[int, Decoded], levels: Mapping[str, Collection[str]]) -> dict[str, Attributes]:
    """What `from_dataset` gives of the keywords of each level."""
    stated = of_elements(elements, with_empty=False)
    of_frames: Attributes | None = None
    result: dict[str, Attributes] = {}
    for level, keywords in levels.items():
        kept = {keyword: stated[keyword] for keyword in keywords if keyword in stated}
        if missing := frames.GATHERED.intersection(keywords) - kept.keys():
            of_frames = frames.gathered(stated, lambda item: item) if of_frames is None else of_frames
            kept |= {keyword: of_frames[keyword] for keyword in sorted(missing) if keyword in of_frames}
        result[level] = kept
    return result


def surplus(elements: Mapping[int, Decoded]) -> list[Finding]:
    """A finding for each attribute of one value that has more, of which the first is taken."""
    findings = []
    for tag, element in elements.items():
        keyword, has_one_value = _entry(tag)
        if has_one_value and len(element.values) > 1:
            count = len([one for one in element.values if one.strip()])
            if count > 1:
                findings.append(Finding(keyword, f"has {count} values; the first is taken"))
    return findings


_PLAIN: Final = frozenset({"AE", "AS", "CS", "DT", "IS", "LO", "LT", "SH", "ST", "UI", "UT"})
"""Value representations of which one value is a text that needs no more than to lose its padding."""
REQUIRED: Final = ("SOPClassUID", "Modality")
"""Attributes of Type 1 of every composite instance (PS3.3 C.12.1, C.7.3.1) whose absence refuses nothing."""


def lacking(levels: Mapping[str, Attributes]) -> list[Finding]:
    """A finding for each attribute of `REQUIRED` that has no value in what `of_levels` gives."""
    stated = frozenset[str]().union(*levels.values())
    return [Finding(one, "has no value, though it is required (Type 1)") for one in REQUIRED if one not in stated]


def _value(element: Decoded, has_one_value: bool, with_empty: bool) -> Any:
    vr, texts = element.vr, element.values
    if vr == "SQ":
        return [of_elements(item, with_empty=with_empty) for item in element.items]
    if len(texts) == 1 and vr in _PLAIN:
        return texts[0].replace("\0", "").strip(None if vr == "UI" else " ")
    # A text of several lines keeps those at its end.
    blanks = None if len(texts) > 1 or vr == "UI" else " "
    values = [value for one in texts if (value := one.replace("\0", "").strip(blanks))]
    if vr == "PN":
        # Component groups without a name (PS3.5 6.2.1.1).
        values = [value for one in values if (value := one.rstrip("="))]
    if vr in ("DA", "TM"):
        values = [without_old_marks(vr, value) for value in values]
    if has_one_value or len(values) < 2:
        # One rule for all attributes of one value: the first counts.
        return values[0] if values else ""
    return values


@lru_cache(maxsize=4096)
def _entry(tag: int) -> tuple[str, bool]:
    """Keyword of a tag, and whether PS3.6 gives the attribute one value."""
    keyword = str(keyword_for_tag(tag))
    return keyword, bool(keyword) and dictionary_VM(tag) == "1"
