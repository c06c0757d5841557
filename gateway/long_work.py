"""Work of many milliseconds: done beside the event loop, one piece after another, with pauses.

Python runs one thread at a time. Several threads that compute would each make the loop wait for a turn of theirs; so
long pieces of work wait for one another, and the loop competes with one of them at most. That one pauses as long as it
computes: a message waits for the interpreter at each of its statements, and without pauses takes three times as long.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

LONG_BYTES: Final = 16 * 1024
"""What is longer is read beside the loop: to read so much takes some milliseconds."""
SLICE_CHARACTERS: Final = 64 * 1024
"""So much of a text is worked on at a time by what lets no other thread compute meanwhile."""
TURN_SECONDS: Final = 0.0002
"""For how long a thread computes while another waits (`sys.setswitchinterval`), during long work: Python's own 5 ms are
what a C-FIND takes, and it waits for several turns. At other times such turns would cost intake a third of its rate."""
PAUSE_SECONDS: Final = 0.001
_USUAL_TURN_SECONDS: Final = sys.getswitchinterval()
_PIECES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class _Piece(threading.local):
    """What the thread works on."""

    pause_due: float | None = None
    """On the clock of `time.perf_counter`; None: no long work."""


_piece: Final = _Piece()


async def beside(work: Callable[[], T]) -> T:
    """The result of `work`, which runs in a thread when the long work before it is done. Raises what `work` raises."""
    async with _PIECES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        sys.setswitchinterval(TURN_SECONDS)
        try:
            return await asyncio.to_thread(_with_pauses, work)
        finally:
            sys.setswitchinterval(_USUAL_TURN_SECONDS)


def _with_pauses(work: Callable[[], T]) -> T:
    _piece.pause_due = time.perf_counter() + PAUSE_SECONDS
    try:
        return work()
    finally:
        _piece.pause_due = None


def pause() -> None:
    """Let others compute, if this is long work and a pause is due; whatever repeats something very often calls it."""
    if _piece.pause_due is not None and time.perf_counter() >= _piece.pause_due:
        time.sleep(PAUSE_SECONDS)
        _piece.pause_due = time.perf_counter() + PAUSE_SECONDS


def with_pauses(these: Iterable[T]) -> Iterator[T]:
    """The same, with a pause between them where one is due."""
    for one in these:
        yield one
        pause()


def slices(text: str) -> Iterator[str]:
    """A text in pieces that are short enough to be worked on at a time, with a pause between them where one is due."""
    for at in range(0, len(text), SLICE_CHARACTERS):
        yield text[at : at + SLICE_CHARACTERS]
        pause()
