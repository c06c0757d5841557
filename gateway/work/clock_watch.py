"""Notices when somebody sets the wall clock. What waits is measured by another clock; whoever reads times must know."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.clock import JUMP_MICROS, Clock
from gateway.observe import metrics

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Jump:
    """The wall clock was set, or the machine did not run for a while: `micros` forward, back if negative."""

    micros: int
    wall: int
    """What it showed when this was noticed."""
    noticed: int
    """By the monotonic clock."""

    def __str__(self) -> str:
        direction = "forward" if self.micros > 0 else "back"
        return f"went {direction} by {abs(self.micros) / SECOND:.0f} s"


class ClockWatch:
    """Compares the wall clock with the monotonic clock, once a second while it runs."""

    def __init__(self, wall: Clock, elapsed: Clock) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._ahead = wall() - elapsed()
        self._last: Jump | None = None

    async def run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Log and count a jump since the last look."""
        wall, elapsed = self._wall(), self._elapsed()
        micros = wall - elapsed - self._ahead
        self._ahead = wall - elapsed
        if abs(micros) < JUMP_MICROS:
            return
        self._last = Jump(micros, wall, elapsed)
        metrics.CLOCK_JUMPS.labels("forward" if micros > 0 else "back").inc()
        log.warning("the wall clock %s; nothing waits longer for it", self._last)

    def shown(self) -> str:
        """The last jump, for people."""
        if self._last is None:
            return "steady"
        at = datetime.fromtimestamp(self._last.wall / SECOND, UTC)
        return f"{self._last} at {at:%Y-%m-%dT%H:%M:%SZ}, by its new time"

    def since(self, moment: int) -> int:
        """Microseconds since the wall clock showed `moment`, without those that it leapt over: nothing becomes old
        because somebody sets the clock forward."""
        self.look()
        passed, last = self._wall() - moment, self._last
        leapt = last is not None and last.micros > 0 and moment <= last.wall - last.micros
        return passed - last.micros if last is not None and leapt else passed
