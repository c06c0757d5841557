"""Two versions of a resource beside each other, line by line, with what differs marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, Literal

import orjson

MOST_LINES: Final = 4_000
"""Of what differs; more takes seconds to compare."""
AROUND: Final = 3
"""Equal lines that are shown around what differs."""

Mark = Literal["", "removed", "added", "gap"]


@dataclass(frozen=True, slots=True)
class MarkedLine:
    text: str
    mark: Mark = ""


@dataclass(frozen=True, slots=True)
class ResourceDifference:
    """Lines of both sides; of equal lines only those around what differs, and a gap for the others."""

    sent: tuple[MarkedLine, ...]
    now: tuple[MarkedLine, ...]
    is_equal: bool
    is_cut: bool = False
    """There was too much to compare: the beginning alone is."""


def difference(sent: dict[str, Any], now: dict[str, Any]) -> ResourceDifference:
    """`sent` and `now` as JSON with sorted keys, compared."""
    if sent == now:
        return ResourceDifference((), (), is_equal=True)
    old, new = written(sent), written(now)
    is_cut = max(len(old), len(new)) > MOST_LINES
    left: list[MarkedLine] = []
    right: list[MarkedLine] = []
    old, new = old[:MOST_LINES], new[:MOST_LINES]
    for tag, first, last, other_first, other_last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            equal = _around(old[first:last], is_begin=first == 0, is_end=last == len(old))
            left += equal
            right += equal
        else:
            left += [MarkedLine(line, "removed") for line in old[first:last]]
            right += [MarkedLine(line, "added") for line in new[other_first:other_last]]
    return ResourceDifference(tuple(left), tuple(right), is_equal=False, is_cut=is_cut)


def written(resource: dict[str, Any]) -> list[str]:
    """The lines of a resource."""
    return orjson.dumps(resource, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode().split("\n")


def _around(lines: Sequence[str], *, is_begin: bool, is_end: bool) -> list[MarkedLine]:
    head, tail = (0 if is_begin else AROUND), (0 if is_end else AROUND)
    if len(lines) <= head + tail + 1:
        return [MarkedLine(line) for line in lines]
    between = len(lines) - head - tail
    shown = [MarkedLine(line) for line in lines[:head]]
    shown.append(MarkedLine(f"… {between} equal lines", "gap"))
    return shown + [MarkedLine(line) for line in lines[len(lines) - tail :]]
