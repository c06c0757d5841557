"""Person names compared: component groups, case, accents, fuzzy words (PS3.4 C.2.2.2.1, PS3.5 6.2.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.records.lookup import NamePrefixes
from gateway.worklist.items import PADDING


class NameMatching(NamedTuple):
    """How person names are compared."""

    pn_implicit_wildcard: bool = False
    """The name key SMITH is read as SMITH*."""
    fuzzy: bool = False
    """Words in any order, beginnings of words, and words with a slip of the pen match too (PS3.4 C.2.2.2.1.1)."""


AS_WRITTEN: Final = NameMatching()


# Text


@lru_cache(maxsize=1024)
def _pattern(key: str) -> re.Pattern[str]:
    """`*` is any run, `?` one character, and there is no escape (PS3.4 C.2.2.2.4)."""
    # Atomic groups: a key of many asterisks must not make the expression backtrack.
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", key))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)


def like(key: str, stored: str) -> bool:
    """Wildcard matching of whole values, with regard to case."""
    return bool(_pattern(key).fullmatch(stored))


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    """Without case and Latin, Greek or Cyrillic accents; kana voicing marks and Hangul stay what they are."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", name) if not "\u0300" <= one <= "\u036f")
    return unicodedata.normalize("NFC", bare.casefold())


def component_groups(name: str) -> list[str]:
    """Component groups Alphabetic=Ideographic=Phonetic without trailing empty components (PS3.5 6.2.1)."""
    return ["^".join(part.strip(PADDING) for part in _plain(one).split("^")).rstrip("^") for one in name.split("=")]


def name_test(key: str, loose: bool) -> Callable[[str], bool]:
    """A key without `=` may match any stored group; with it, group by group, empty ones being universal."""
    wanted = [
        group + "*" if loose and group and not set("*?") & set(group) else group for group in component_groups(key)
    ]

    def accepts(group: str, stored: str) -> bool:
        # SMITH and SMITH^^^^ are the same name, and SMITH^* asks for either.
        return bool(stored) and (like(group, stored) or like(group, stored + "^" * (4 - stored.count("^"))))

    def test(stored: str) -> bool:
        have = component_groups(stored)
        if "=" not in key:
            return any(accepts(wanted[0], group) for group in have)
        have += [""] * (len(wanted) - len(have))
        return all(accepts(group, there) for group, there in zip(wanted, have, strict=False) if group)

    return test


def fuzzy_test(key: str, names: NameMatching) -> Callable[[str], bool]:
    strict = name_test(key, names.pn_implicit_wildcard)
    wanted = [word for word in _words(key) if not set("*?") & set(word)]

    def test(stored: str) -> bool:
        return strict(stored) or (bool(wanted) and _sounds_like(wanted, _words(stored)))

    return test


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s^=,.'-]+", _plain(name)) if word]


def _sounds_like(wanted: Sequence[str], there: Sequence[str]) -> bool:
    return all(any(_is_near(word, other) for other in there) for word in wanted)


@lru_cache(maxsize=8192)
def _is_near(word: str, other: str) -> bool:
    """The same, its beginning, or one slip away in four letters, two in eight."""
    slips = min(len(word) // 4, 2)
    return word == other or (len(word) >= 3 and other.startswith(word)) or (0 < _slips(word, other, slips) <= slips)


def _slips(word: str, other: str, most: int) -> int:
    """Letters to add, leave out, change, or swap with their neighbour (optimal string alignment); 0 or above `most`
    when they are too far apart to be counted."""
    if not most or abs(len(word) - len(other)) > most:
        return 0
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and word[i - 2] == b:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


def name_key(name: str) -> str:
    """A stored name as `Prefilter.name_prefix` begins it; empty where a key might mean a component group that is not
    the first."""
    first, *others = component_groups(name)
    return "" if any(group[:1].isascii() for group in others if group) else first


MOST_WORDS = 4
"""Of a name that is looked for; more are read as one family name."""


def prefixes_of(text: str) -> NamePrefixes:
    """How a person may mean a name: `muster`, `erika`, `Muster, Erika`, `Erika Muster`, `MUSTER^E`, `^erika`."""
    plain = component_groups(text.replace(",", "^"))[0]
    family, caret, given = plain.partition("^")
    if caret:
        return NamePrefixes((plain,), ()) if family else NamePrefixes((), (given,) if given else ())
    words = plain.split()
    if not words:
        return NamePrefixes((), ())
    places = range(1, len(words)) if len(words) <= MOST_WORDS else ()
    halves = [(" ".join(words[:place]), " ".join(words[place:])) for place in places]
    both = [name for left, right in halves for name in (f"{left}^{right}", f"{right}^{left}")]
    return NamePrefixes((" ".join(words), *both), (" ".join(words),))
