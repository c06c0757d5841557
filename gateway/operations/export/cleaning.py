"""What of a text may leave (PS3.15 E.3.6, Clean Descriptors): values of closed lists, codes that look like codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date
from functools import cache
from typing import Final

from gateway import mapping
from gateway.mapping import CODING_SCHEMES, STUDIES
from gateway.records.step import StepState

OLDEST: Final = 89
"""Years; all who are older are given as `OLDEST + 1` (45 CFR 164.514(b)(2)(i)(C))."""
OLDEST_EVER: Final = 130
LARGEST: Final = 99_999
"""Of a number that counts something; what is larger is rather a number of somebody."""
LOCAL: Final = "local"
"""The coding scheme of a site, whose name may name the site."""
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,15}")
_STANDARD_UID: Final = re.compile(r"1\.2\.840\.10008(\.[0-9]{1,5}){1,10}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PARTS: Final = re.compile(r"[^\W_]+")
_FORMULA: Final = "=+-@\t "
SHORTEST_WORD: Final = 3
LONGEST_TEXT: Final = 64


def one_of(values: Callable[[], Collection[str]]) -> Callable[[str], str | None]:
    """A closed list; what is not in it stays here."""
    return lambda text: text if text in values() else None


@cache
def modalities() -> frozenset[str]:
    """Modality (0008,0060): PS3.16 CID 33 and the retired ones."""
    return frozenset(mapping.ours()[STUDIES].tables["study_modality"].codes)


@cache
def body_parts() -> frozenset[str]:
    """Body Part Examined (0018,0015): PS3.16 Annex L."""
    return frozenset(mapping.ours()[STUDIES].tables["bodypart_snomed"].codes)


@cache
def _schemes() -> frozenset[str]:
    return frozenset(mapping.ours()[STUDIES].tables[CODING_SCHEMES].codes)


STATES: Final = frozenset(state.value for state in StepState)
PRIORITIES: Final = frozenset({"STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW"})
SEXES: Final = frozenset({"M", "F", "O"})
SIDES: Final = frozenset({"R", "L", "B", "U"})


def scheme(text: str) -> str | None:
    """A Coding Scheme Designator that is known everywhere; `LOCAL` for others."""
    return (text if text in _schemes() else LOCAL) if text else None


def standard_uid(text: str) -> str | None:
    """A UID that the standard defines, such as a SOP class; one of a vendor names the device."""
    return text if _STANDARD_UID.fullmatch(text) else None


def number(text: str) -> int | None:
    """A small whole number of 0 or more."""
    written = text.strip()
    if not (written.isascii() and written.isdigit() and len(written) <= len(str(LARGEST))):
        return None
    return int(written)


def retained(text: str) -> str | None:
    """A text that a person has decided to keep: on one line, not too long, and no formula to a spreadsheet."""
    return _CONTROL.sub(" ", text).lstrip(_FORMULA).rstrip()[:LONGEST_TEXT] or None


def code(text: str, words: Collection[str]) -> str | None:
    """A code value, unless it is written as no code is, or is like one of the `words` that identify somebody."""
    if not _CODE.fullmatch(text):
        return None
    lower = text.lower()
    return None if any(word in lower or lower in word for word in words) else text


def words_of(*texts: str) -> frozenset[str]:
    """The parts of names and numbers that no code may hold, in lower case."""
    return frozenset(part for part in _PARTS.findall(" ".join(texts).lower()) if len(part) >= SHORTEST_WORD)


def age(born: str, on: date) -> int | None:
    """Whole years of a person on a day, those above `OLDEST` as one; None where the birth date (DA) is none."""
    try:
        birth = date.fromisoformat(born)
    except ValueError:
        return None
    years = on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day))
    return min(years, OLDEST + 1) if 0 <= years <= OLDEST_EVER else None
