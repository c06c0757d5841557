"""DICOM dates and times as keys: single values and ranges of DA, TM and DT (PS3.5 6.2, PS3.4 C.2.2.2.5).

A moment is an integer of microseconds: since midnight for TM, since the proleptic year 1 for DA and DT. A DT
with an offset from UTC is restated in UTC, one without is taken as it stands. Read leniently, as modalities
write them: blanks around the hyphen, `YYYY.MM.DD`, `HH:MM`.
"""

from __future__ import annotations

import calendar
import datetime
import re
from functools import lru_cache
from typing import NamedTuple

DAY = 86_400_000_000
"""Microseconds."""

_SHAPES = {
    "DA": r"(?:\d{8}|\d{4}\.\d\d\.\d\d)",
    "TM": r"\d\d(?::?\d\d(?::?\d\d(?:\.\d{1,6})?)?)?",
    "DT": r"\d{4}(?:\d\d){0,5}(?:(?<=\d{14})\.\d{1,6})?(?:[+-]\d{4})?",
}
VRS = frozenset(_SHAPES)

# The range comes first: in 20240701-0500 the hyphen is one, so a single DT cannot carry a negative offset.
_KEYS = {
    vr: re.compile(rf"\s*(?:(?P<low>{one})?\s*(?P<hyphen>-)\s*(?P<high>{one})?|(?P<single>{one}))\s*")
    for vr, one in _SHAPES.items()
}
_TIME_WIDTHS = {2: 3_600_000_000, 4: 60_000_000, 6: 1_000_000}


class Span(NamedTuple):
    """What a key allows, both ends included; None: open."""

    first: int | None
    last: int | None
    form: str
    """`a-b`, `a-`, `-b` or `a`."""

    @property
    def is_range(self) -> bool:
        return "-" in self.form

    def __contains__(self, moment: object) -> bool:
        if not isinstance(moment, int):
            return False
        return (self.first is None or self.first <= moment) and (self.last is None or moment <= self.last)


@lru_cache(maxsize=4096)
def span(vr: str, key: str) -> Span:
    """Read a key. A bound of less precision reaches as far as it can: `-18` goes through 18:59:59.999999.

    Raises `ValueError` saying what is wrong, without the value.
    """
    found = _KEYS[vr].fullmatch(key)
    if not found or not (found["low"] or found["high"] or found["single"]):
        raise ValueError(f"neither a {vr} value nor a range of them")
    if found["single"]:
        first = _limits(vr, found["single"])[0]
        return Span(first, first, "a")
    low = _limits(vr, found["low"])[0] if found["low"] else None
    high = _limits(vr, found["high"])[1] if found["high"] else None
    return Span(low, high, ("" if low is None else "a") + "-" + ("" if high is None else "b"))


@lru_cache(maxsize=8192)
def moment(vr: str, value: str) -> int | None:
    """A stored value; None if it is no date or time, and then no key finds it."""
    try:
        return _limits(vr, value)[0] if re.fullmatch(_SHAPES[vr], value) else None
    except ValueError:
        return None


def _limits(vr: str, value: str) -> tuple[int, int]:
    """The first and the last microsecond of what a value of its precision names."""
    offset = 0
    if vr == "DT" and len(value) > 5 and value[-5] in "+-":
        offset = (int(value[-4:-2]) * 60 + int(value[-2:])) * (-60_000_000 if value[-5] == "-" else 60_000_000)
        value = value[:-5]
    if vr == "DA":
        value = value.replace(".", "")
    digits, _, fraction = value.replace(":", "").partition(".")
    date, time = ("", digits) if vr == "TM" else (digits[:8], digits[8:])
    first, last = _days(date) if date else (0, 0)
    begin, width = _microseconds(time, fraction) if time else (0, DAY)
    return first * DAY + begin - offset, last * DAY + begin + width - 1 - offset


def _days(digits: str) -> tuple[int, int]:
    """YYYY, YYYYMM or YYYYMMDD as the ordinals of its first and its last day."""
    try:
        year, month, day = int(digits[:4]), int(digits[4:6] or 1), int(digits[6:8] or 1)
        first = datetime.date(year, month, day)
    except ValueError:
        raise ValueError("no such day in the calendar") from None
    if len(digits) == 4:
        return first.toordinal(), datetime.date(year, 12, 31).toordinal()
    if len(digits) == 6:
        return first.toordinal(), first.replace(day=calendar.monthrange(year, month)[1]).toordinal()
    return first.toordinal(), first.toordinal()


def _microseconds(digits: str, fraction: str) -> tuple[int, int]:
    """HH, HHMM, HHMMSS and a fraction as microseconds since midnight, and how many its precision spans."""
    hour, minute, second = int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second
        raise ValueError("no such time of day")
    begin = ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction.ljust(6, "0"))
    return begin, 10 ** (6 - len(fraction)) if fraction else _TIME_WIDTHS[len(digits)]
