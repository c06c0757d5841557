"""The values of a worklist file, each fit for its attribute or left out with the reason."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from pydicom.charset import python_encoding

from gateway.errors import Rejected, Undecodable
from gateway.mapping.language.values import fit, vr_of
from gateway.records.finding import Finding
from gateway.records.order import Attributes
from gateway.worklist.encoding import ASCII_SETS

CHARACTER_SET: Final = "SpecificCharacterSet"
REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
TooLong = Callable[[str], str]
"""Keyword -> what to do with a value that is too long, "cut" or "reject"."""


class FileValues:
    """Reads the values of one file. `too_long`: keyword -> what the order mapping does with a value that is too long,
    "cut" for others. `kept_items`: the sequence whose items stay when a value of theirs does not fit; an item of any
    other sequence is left out whole, for a part of a code is another code."""

    def __init__(self, too_long: Mapping[str, str], kept_items: str) -> None:
        self._too_long = too_long
        self._kept_items = kept_items
        self._sets = ""
        self.faults: list[Rejected] = []
        """Why a value was left out; the place is the keyword."""
        self.findings: list[Finding] = []
        """What is odd about the character set."""

    def fitted(self, attributes: Attributes, *, without: Collection[str]) -> Attributes:
        """The attributes whose values fit. Raises `Undecodable` for text in a character set that nobody defines."""
        self._check_character_set(attributes)
        kept = {key: value for key, value in attributes.items() if key not in without}
        return self._fitted(kept, self.faults, lambda keyword: self._too_long.get(keyword, "cut"))

    def _check_character_set(self, attributes: Attributes) -> None:
        stated = attributes.get(CHARACTER_SET) or ()
        terms = [stated] if isinstance(stated, str) else list(stated)
        self._sets = " or ".join(filter(None, terms)) or "ASCII"
        has_foreign_text = not all(map(str.isascii, _texts(attributes)))
        if strange := [term for term in terms if term not in python_encoding]:
            text = f"{strange[0]!r} is no Defined Term of PS3.3 C.12.1.1.2"
            if has_foreign_text:
                raise Undecodable(f"{text}; mend it in the file", place=CHARACTER_SET)
            self.findings.append(Finding(CHARACTER_SET, f"{text}; all text is ASCII"))
        elif has_foreign_text and ASCII_SETS.issuperset(terms):
            text = "text that is not ASCII is in no declared character set; it is read as UTF-8 or Windows-1252"
            self.findings.append(Finding(CHARACTER_SET, text))

    def _fitted(self, attributes: Attributes, faults: list[Rejected], too_long: TooLong) -> Attributes:
        fitted = {keyword: self._fit(keyword, value, faults, too_long) for keyword, value in attributes.items()}
        return {keyword: value for keyword, value in fitted.items() if value}

    def _fit(self, keyword: str, value: Any, faults: list[Rejected], too_long: TooLong) -> Any:
        if isinstance(value, list):
            kept = list(filter(None, (self._fit(keyword, part, faults, too_long) for part in value)))
            return kept[0] if len(kept) == 1 and isinstance(kept[0], str) else kept
        if isinstance(value, dict):
            return self._item(keyword, value, faults, too_long)
        try:
            if REPLACED in value:
                raise Undecodable(f"holds bytes that are no text of {self._sets}; mend {CHARACTER_SET}")
            return fit(vr_of(keyword), value, too_long=too_long(keyword))[0]
        except Rejected as error:
            error.place = keyword
            faults.append(error)
            return ""

    def _item(self, sequence: str, item: Attributes, faults: list[Rejected], too_long: TooLong) -> Attributes:
        if sequence == self._kept_items:
            return self._fitted(item, faults, too_long)
        inner: list[Rejected] = []
        fitted = self._fitted(item, inner, _only_meanings)
        if not inner:
            return fitted
        inner[0].place = f"{sequence}.{inner[0].place}"
        faults.append(inner[0])
        return {}


def _only_meanings(keyword: str) -> str:
    """Of a code its meaning may be cut: a part of its value is another code."""
    return "cut" if keyword == "CodeMeaning" else "reject"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    else:
        yield value
