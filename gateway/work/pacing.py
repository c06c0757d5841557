"""When, and how fast, work of a kind may be taken up: hours of the day, and so much a minute.

What waits for its hour or its turn is not claimed, so that no try of it is counted.
"""

from __future__ import annotations

from typing import Final

from gateway.clock import Clock
from gateway.records.windows import Windows

SECOND: Final = 1_000_000
MINUTE: Final = 60.0


class Pacing:
    """`clock`: the wall clock of `windows`; `steady` measures `per_minute`. None of either: no limit.

    Of `per_minute` no more than a second's share, and one at least, is saved for a moment when much is due at once.
    """

    def __init__(self, clock: Clock, steady: Clock, *, windows: Windows | None, per_minute: float | None) -> None:
        self._clock = clock
        self._steady = steady
        self._windows = windows
        self._per_second = None if per_minute is None else per_minute / MINUTE
        self._most = max(1.0, self._per_second or 0.0)
        self._saved = self._most
        self._counted_at = steady()

    def admits(self, free: int, under_way: int) -> int:
        """How many of `free` may be taken up now."""
        if self._closed_seconds() > 0:
            return 0
        return free if self._per_second is None else min(free, int(self._refilled()))

    def took(self, number: int) -> None:
        """So many were taken up."""
        if self._per_second is not None:
            self._saved = self._refilled() - number

    def opens_in(self) -> float:
        """Seconds until the next may be taken up; 0: now."""
        turn = 0.0 if self._per_second is None else max(0.0, (1.0 - self._refilled()) / self._per_second)
        return max(turn, self._closed_seconds())

    def _closed_seconds(self) -> float:
        now = self._clock()
        opens_at = None if self._windows is None else self._windows.opens_at(now)
        return 0.0 if opens_at is None else (opens_at - now) / SECOND

    def _refilled(self) -> float:
        assert self._per_second is not None
        now = self._steady()
        self._saved = min(self._most, self._saved + (now - self._counted_at) / SECOND * self._per_second)
        self._counted_at = now
        return self._saved
