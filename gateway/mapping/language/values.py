"""Fitting a value to its DICOM value representation (PS3.5 6.2): clean-up, shape, length, and what is then cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

import gateway.dicom_dictionary  # noqa: F401  the elements that pydicom lacks
from gateway.errors import InvalidValue, ValueTooLong
from gateway.long_work import SLICE_CHARACTERS, slices

MAX_LENGTH: Final = {
    "AE": 16, "CS": 16, "DA": 8, "DS": 16, "IS": 12, "LO": 64, "LT": 10240, "PN": 64, "SH": 16, "ST": 1024, "TM": 16,
    "UI": 64, "UT": 2**32 - 2, "UC": 2**32 - 2, "DT": 26, "UR": 2**32 - 2,
}  # fmt: skip
"""Characters, not bytes; for PN of each component group."""
INTEGERS: Final = {
    "US": (0, 2**16 - 1), "SS": (-(2**15), 2**15 - 1), "UL": (0, 2**32 - 1), "SL": (-(2**31), 2**31 - 1),
    "UV": (0, 2**64 - 1), "SV": (-(2**63), 2**63 - 1), "IS": (-(2**31), 2**31 - 1),
}  # fmt: skip
"""Lowest and highest value."""
NEVER_CUT: Final = frozenset({"AE", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
"""A part of a code, number or identifier is another one."""

_AT_ONCE: Final = frozenset({"CS", "LO", "PN", "SH", "UC", "UI"})
"""Where a text that is short enough, and of the right shape or clean, need only lose the blanks around it."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]+")
_BACKSLASH: Final = {
    **dict.fromkeys(("LO", "SH", "UC"), "/"),
    "PN": " ",
    **dict.fromkeys(("AE", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"), ""),
}
"""What stands for a backslash, which would separate values (PS3.5 6.4)."""


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


def _is_day(text: str) -> bool:
    try:
        return len(text) == 8 and text.isascii() and text.isdigit() and bool(date.fromisoformat(text))
    except ValueError:
        return False


_DT: Final = re.compile(
    r"(\d{4}(?:\d\d){0,2})(?:(?<=\d{8})(?:\d\d){1,3}(?:(?<=\d{14})\.\d{1,6})?)?([+-]\d{4})?", re.ASCII
)


def _is_moment(text: str) -> bool:
    match = _DT.fullmatch(text)
    if match is None:
        return False
    return _is_day(match[1] + "0101"[len(match[1]) - 4 :])


_SHAPES: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "AE": (_matches(r"[ -~]+"), "an AE title (ASCII characters)"),
    "CS": (_matches(r"[A-Z0-9_ ]+"), "a code string (upper case letters, digits, blank, underscore)"),
    "DA": (_is_day, "a date (YYYYMMDD)"),
    "DT": (_is_moment, "a date and time (YYYY[MM[DD[HH[MM[SS[.FFFFFF]]]]]][&ZZXX])"),
    "DS": (_matches(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"), "a decimal number"),
    "TM": (_matches(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"), "a time (HHMMSS)"),
    "UR": (_matches(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+"), "a URI"),
    "UI": (_matches(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+"), "a UID"),
}
_WHOLE_NUMBER: Final = re.compile(r"[+-]?\d{1,20}", re.ASCII)


@lru_cache(maxsize=4096)
def vr_of(keyword: str) -> str:
    """The VR of a DICOM keyword; '' for one that PS3.6 does not have."""
    tag = tag_for_keyword(keyword)
    return dictionary_VR(tag) if tag is not None else ""


def fit(vr: str, value: str, *, too_long: str) -> tuple[str, str]:
    """`value` made fit for `vr`, and a remark ('' if nothing was lost).

    Raises `ValueTooLong` when it does not fit and may not be cut (`too_long` other than "cut", or a VR that is never
    cut), `InvalidValue` when it can never be of that VR.
    """
    return fitter(vr, too_long)(value)


@lru_cache(maxsize=256)
def fitter(vr: str, too_long: str) -> Callable[[str], tuple[str, str]]:
    """What does the same as `fit` for one VR."""
    limit = MAX_LENGTH.get(vr)
    at_once = MAX_LENGTH[vr] if vr in _AT_ONCE else -1
    is_shaped, shape = _SHAPES.get(vr, (None, ""))

    def fitted(value: str) -> tuple[str, str]:
        if len(value) <= at_once and (
            is_shaped(value) if is_shaped else value.isprintable() and "\\" not in value and "=" not in value
        ):
            return value.strip(), ""
        text = _clean(vr, value)
        if not text:
            return "", ""
        if is_shaped and not is_shaped(text):
            raise InvalidValue(f"{text!r} is not {shape}")
        if vr in INTEGERS:
            _check_integer(vr, text)
        if limit is None or (len(text) <= limit and (vr != "PN" or text.count("=") < 3)):
            return text, ""
        if vr == "PN":
            return _fit_name(text, limit)
        if too_long != "cut" or vr in NEVER_CUT:
            raise ValueTooLong(f"{len(text)} characters do not fit {vr} ({limit})")
        return _cut(text, limit), f"cut from {len(text)} to at most {limit} characters"

    return fitted


def clean_length(vr: str) -> int:
    """How many letters and digits fit a VR as they are; 0: they must be looked at."""
    return MAX_LENGTH[vr] if vr in _AT_ONCE and vr not in _SHAPES else 0


def _clean(vr: str, value: str) -> str:
    if vr in ("LT", "ST", "UT"):
        return _replaced(_CONTROL_BUT_LINES, "", value).rstrip()
    text = _replaced(_CONTROL, " ", value).strip()
    if "\\" in text:
        text = text.replace("\\", _BACKSLASH.get(vr, "")).strip()
    return text.upper() if vr == "CS" else text


def _replaced(pattern: re.Pattern[str], by: str, value: str) -> str:
    """In slices: no other thread computes while a pattern is looked for, and a field may be of ten megabytes."""
    if len(value) <= SLICE_CHARACTERS:
        return value if value.isprintable() else pattern.sub(by, value)
    return "".join([one if one.isprintable() else pattern.sub(by, one) for one in slices(value)])


def _check_integer(vr: str, text: str) -> None:
    low, high = INTEGERS[vr]
    if not _WHOLE_NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise InvalidValue(f"{text!r} is not a whole number from {low} to {high}")


def _cut(text: str, limit: int) -> str:
    """Cut at a blank when one is near the limit, never between a letter and its combining marks."""
    end = limit
    while end and (unicodedata.category(text[end])[0] == "M" or "\u200d" in text[end - 1 : end + 1]):
        end -= 1
    cut = text[: end or limit]
    blank = cut.rfind(" ")
    if text[len(cut)] != " " and blank >= limit * 3 // 4:
        cut = cut[:blank]
    return cut.rstrip()


def _fit_name(name: str, limit: int) -> tuple[str, str]:
    groups, remarks = [], []
    for group in name.split("=")[:3]:
        shorter = group
        # Suffix, prefix, middle name: what a person is least known by goes first.
        for index in (4, 3, 2):
            parts = shorter.split("^")
            if len(shorter) > limit and len(parts) > index:
                parts[index] = ""
                shorter = "^".join(parts).rstrip("^")
        if len(shorter) > limit:
            shorter = _cut(shorter, limit).rstrip("^ ")
        if shorter != group:
            remarks.append(f"name shortened from {len(group)} to {len(shorter)} characters")
        groups.append(shorter)
    return "=".join(groups), "; ".join(remarks)
