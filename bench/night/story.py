"""A night read aloud: each event with its time, what an operator saw meanwhile, and when all was served again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from bench.night.model import KINDS, Attempt, Model
from bench.night.watch import Sight, Watch

LOG_LINES: Final = 8
"""Of each event; the most frequent."""
CAUGHT_UP: Final = 25
"""Rows that wait for the quiet time or the next delivery at any moment of the load."""
_STAMP: Final = re.compile(r"^\S+ +")
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


@dataclass(slots=True)
class Chapter:
    """One event as it happened; monotonic seconds."""

    name: str
    began: float
    ended: float
    notes: list[str] = field(default_factory=list)
    next_began: float = 0.0


def told(chapters: list[Chapter], night_began: float, night_ended: float, model: Model, watch: Watch) -> Iterator[str]:
    """The lines of the story."""
    for chapter, following in pairwise([*chapters, Chapter("", night_ended, night_ended)]):
        chapter.next_began = following.began
        lasted = chapter.ended - chapter.began
        yield f"{_clock(chapter.began - night_began)}  {chapter.name}, for {lasted:.0f} s"
        yield from (f"         {note}" for note in chapter.notes)
        yield from _seen(chapter, watch)
        yield from _served(chapter, model)
        yield f"         deliveries: {_caught_up(chapter, watch)}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"


def _seen(chapter: Chapter, watch: Watch) -> Iterator[str]:
    during = [one for one in watch.sights if chapter.began <= one.at < chapter.next_began]
    lines: dict[tuple[str, str], list[Sight]] = {}
    for sight in during:
        if sight.where == "log":
            lines.setdefault((sight.node, _NUMBER.sub("N", _STAMP.sub("", sight.text))), []).append(sight)
        else:
            yield f"         {sight.at - chapter.began:+6.1f} s {sight.node} {sight.where}: {sight.text}"
    for alike in sorted(lines.values(), key=len, reverse=True)[:LOG_LINES]:
        line = alike[0]
        times = f" ({len(alike)} times)" if len(alike) > 1 else ""
        yield f"         {line.at - chapter.began:+6.1f} s {line.node} log: {line.text}{times}"


def _served(chapter: Chapter, model: Model) -> Iterator[str]:
    """How many requests of each kind failed, and how long after the end of the event the last of them did."""
    during = [one for one in model.attempts if chapter.began <= one.at < chapter.next_began]
    for kind in KINDS:
        of_kind = [one for one in during if one.kind == kind]
        failed = [one for one in of_kind if one.failure]
        slowest = max((one.seconds for one in of_kind if not one.failure), default=0.0)
        text = f"{len(of_kind) - len(failed)} answered, the slowest after {slowest:.1f} s"
        if failed:
            reasons = Counter(_NUMBER.sub("N", one.failure)[:70] for one in failed)
            why = "; ".join(f"{times} x {reason}" for reason, times in reasons.most_common(2))
            text += f"; {len(failed)} failed, the last {_after(chapter, failed)} ({why})"
        yield f"         {kind}: {text}"


def _after(chapter: Chapter, failed: list[Attempt]) -> str:
    last = max(one.at for one in failed) - chapter.ended
    return f"{last:.1f} s after its end" if last > 0 else "before its end"


def _caught_up(chapter: Chapter, watch: Watch) -> str:
    during = [(at, rows) for at, rows in watch.waiting if chapter.began <= at < chapter.next_began]
    most = max((rows for _, rows in during), default=0)
    behind = [at for at, rows in during if rows > CAUGHT_UP]
    if not behind:
        return f"at most {most} waited"
    return f"at most {most} waited; at most {CAUGHT_UP} again {max(behind) - chapter.ended:.0f} s after its end"
