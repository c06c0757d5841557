"""Whether two sources name the same person, and the same values of them, as tolerantly as a clerk reads both."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from typing import Final

_WORDS: Final = re.compile(r"[\s^=,.;'’`´\-_/]+")
_TITLES: Final = frozenset({
    "dr", "prof", "professor", "med", "dipl", "ing", "mr", "mrs", "ms", "miss", "sir", "lady", "herr", "frau", "fr",
    "hr", "jr", "sr", "phd", "md", "van", "von", "der", "den", "de", "du", "di", "da", "la", "le", "zu",
})  # fmt: skip
"""Titles, and particles that one system writes as a part of the family name and another leaves out."""
_SPELT_OUT: Final = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d",
})  # fmt: skip
_AFFIXES: Final = 3
"""Prefix and suffix of a name stand behind the family name and the given names."""
_MARKS: Final = re.compile("([?\ufffd*]+)")
"""What consoles put in the place of a character that they cannot display."""


def is_same_name(one: str, other: str) -> bool:
    """Whether two person names (PN) may be of one person: without regard to case, accents and how they are written
    out, order of components, titles, further given names, initials, and characters that a console could not display.

    Names of which nothing can be compared, such as those in two scripts, are no contradiction.
    """
    pairs = [(_words(a), _words(b)) for a, b in _comparable(one, other)]
    pairs = [(a, b) for a, b in pairs if a and b]
    return not pairs or any(_is_part_of(*sorted(pair, key=len)) for pair in pairs)


def _comparable(one: str, other: str) -> list[tuple[str, str]]:
    """The pairs of component groups (alphabetic, ideographic, phonetic) in one script, whatever their places: consoles
    write an ideographic name as the first group too."""
    mine, theirs = ([part for part in name.split("=") if part.strip("^ ")] for name in (one, other))
    return [(a, b) for a in mine for b in theirs if _is_latin(a) == _is_latin(b)]


def _is_latin(name: str) -> bool:
    letters = [one for one in name if one.isalpha()]
    return not letters or all("LATIN" in unicodedata.name(one, "") for one in letters)


def _words(name: str) -> list[str]:
    components = unicodedata.normalize("NFC", name.casefold()).split("^")
    return [word for number, one in enumerate(components) for word in _words_of(one, is_affix=number >= _AFFIXES)]


def _words_of(component: str, *, is_affix: bool) -> list[str]:
    """Without titles and particles, but for a name that is no more than such a word: Le, Du and La are family names."""
    every = [one for one in _WORDS.split(component) if one]
    return [one for one in every if one not in _TITLES] or ([] if is_affix else every)


def _is_part_of(fewer: Collection[str], more: Collection[str]) -> bool:
    """Whether each word of the shorter name has a word of its own in the longer one. One of a name of several words
    may be an initial."""
    left = list(more)
    whole = 0
    for word in sorted(fewer, key=len, reverse=True):
        found = next((one for one in left if _is_same_word(word, one)), None)
        whole += found is not None
        if found is None:
            found = next((one for one in left if _is_initial(word, one)), None)
        if found is None:
            return False
        left.remove(found)
    return whole > 0


def _is_same_word(one: str, other: str) -> bool:
    if not _spellings(one).isdisjoint(_spellings(other)):
        return True
    return any(_is_displayed_as(a, b) for a, b in ((one, other), (other, one)))


def _spellings(word: str) -> set[str]:
    """A word without its accents, and with the letters that replace them."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))
    spelt = unicodedata.normalize("NFKD", word.translate(_SPELT_OUT))
    return {bare, bare.replace("ß", "ss"), "".join(one for one in spelt if not unicodedata.combining(one))}


def _is_displayed_as(word: str, shown: str) -> bool:
    """Whether `shown` is `word` with marks for the characters that a console does not have."""
    if not _MARKS.search(shown):
        return False
    # A console that shows bytes has two marks for one letter.
    pattern = "".join(_any(part) if _MARKS.match(part) else re.escape(part) for part in _MARKS.split(shown))
    return re.fullmatch(pattern, word) is not None


def _any(marks: str) -> str:
    return f".{{1,{2 * len(marks)}}}"


def _is_initial(one: str, other: str) -> bool:
    return 1 in (len(one), len(other)) and one[:1] == other[:1]


def is_same_date(one: str, other: str) -> bool:
    """Whether two dates (DA) may be one day: what is unknown of one, such as a day 00 or a year alone, may be any."""
    mine, theirs = (re.sub(r"\D", "", written)[:8] for written in (one, other))
    parts = ((mine[:4], theirs[:4]), (mine[4:6], theirs[4:6]), (mine[6:8], theirs[6:8]))
    return all(a == b or not a.strip("0") or not b.strip("0") for a, b in parts)


def is_same_sex(one: str, other: str) -> bool:
    """Whether two codes (0010,0040) may be of one person: O, and any other that is not M or F, may be either."""
    return Counter((one.strip().upper(), other.strip().upper())) != Counter("MF")
