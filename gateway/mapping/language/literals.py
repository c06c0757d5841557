"""Values that a mapping file itself holds for an attribute, checked when the file is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from pydicom.datadict import dictionary_VM, tag_for_keyword

from gateway.errors import InvalidValue
from gateway.mapping.language.values import INTEGERS, MAX_LENGTH, fit, vr_of

_FIRST_GROUP: Final = 0x0008
"""Groups below are those of commands and of the file meta information (PS3.5 7.1)."""
_ONE_VALUE: Final = frozenset({"LT", "ST", "UR", "UT"})
"""Where a backslash separates no values (PS3.5 6.2)."""


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


_SHAPES: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "AS": (_matches(r"\d{3}[DWMY]"), "an age such as 040Y"),
    "DT": (
        _matches(r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?"),
        "a date and time (YYYYMMDDHHMMSS)",
    ),
    "FD": (_is_number, "a number"),
    "FL": (_is_number, "a number"),
    "UR": (_matches(r"[!-~]+"), "a URI"),
}
"""Value representations that no row fills, and what a value of them looks like."""


def literal_of(keyword: str, written: str) -> list[str]:
    """The values of an attribute that `written` holds, fitted to its value representation; [] for an empty attribute.

    Raises `InvalidValue` or `ValueTooLong` when they do not fit, and for an attribute that text cannot fill.
    """
    vr, tag = vr_of(keyword), tag_for_keyword(keyword)
    if tag is None or tag >> 16 < _FIRST_GROUP:
        raise InvalidValue("is no attribute of a data set")
    if vr not in MAX_LENGTH and vr not in INTEGERS and vr not in _SHAPES:
        raise InvalidValue(f"has the value representation {vr}, which no text can fill")
    if not written:
        return []
    values = [written] if vr in _ONE_VALUE else written.split("\\")
    if len(values) > 1 and dictionary_VM(tag) == "1":
        raise InvalidValue(f"{written!r} has {len(values)} values, and the attribute takes one")
    return [_fitted(vr, one) for one in values]


def _fitted(vr: str, written: str) -> str:
    is_shaped, shape = _SHAPES.get(vr, (None, ""))
    if is_shaped is not None:
        if not is_shaped(written):
            raise InvalidValue(f"{written!r} is not {shape}")
        return written
    fitted, lost = fit(vr, written, too_long="reject")
    if lost or not fitted:
        raise InvalidValue(f"{written!r} does not fit {vr}{f': {lost}' if lost else ''}")
    return fitted
