"""The application's clocks: the wall clock states when something was, the steady clock measures how long work waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""
JUMP_MICROS = 2_000_000
"""A clock that moves less against another is corrected, not set."""


def now() -> int:
    """The system's clock."""
    return time.time_ns() // 1000


def elapsed() -> int:
    """The monotonic clock, which nobody sets: microseconds since some moment."""
    return time.monotonic_ns() // 1000


def dtm_of(moment: int) -> str:
    """Microseconds as a DTM in UTC, to the second (HL7 2.5.1 ch. 2.A.22)."""
    return _dtm_of_second(moment // 1_000_000)


@lru_cache(maxsize=4)
def _dtm_of_second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y%m%d%H%M%S%z}"


class SteadyClock:
    """Microseconds since 1970 UTC that only go on, whatever happens to the wall clock.

    Until `begin`, the steady clock has no time of its own: callers' moments count as they are.
    """

    def __init__(self) -> None:
        self._elapsed: Clock | None = None
        self._wall: Clock = now
        self._base = 0

    def begin(self, moment: int, elapsed: Clock, wall: Clock) -> None:
        """Let it be `moment` now; it goes on with `elapsed`. `wall` is what it is compared with."""
        self._elapsed, self._wall, self._base = elapsed, wall, moment - elapsed()

    def __call__(self) -> int:
        """The steady time; what the wall clock shows before `begin`."""
        now = self._wall()
        return self.of(now, now=now)

    def reach(self, moment: int) -> None:
        """Go forward to `moment`, if that lies ahead: another process measured longer, this one was paused."""
        if self._elapsed is not None:
            self._base = max(self._base, moment - self._elapsed())

    def of(self, moment: int, *, now: int) -> int:
        """The steady time of a moment of the wall clock, which showed `now` when the moment was computed."""
        return moment if self._elapsed is None else self._base + self._elapsed() + moment - now

    def shown(self, moment: int) -> int:
        """What the wall clock will show, unless somebody sets it, or showed at a steady time."""
        now = self._wall()
        return moment + now - self.of(now, now=now)


def local_day(moment: int, zone: tzinfo) -> date:
    """The day on which a moment falls in a zone."""
    return datetime.fromtimestamp(moment / 1_000_000, zone).date()
