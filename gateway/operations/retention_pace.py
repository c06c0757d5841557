"""The pace of deleting by age: how large a unit of the writer is, and how long others have the database between two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from gateway.store import Store

T = TypeVar("T")

UNIT_SECONDS: Final = 0.025
"""What one unit may take of the writer, commit included: the number of rows goes by it."""
ALONE: Final = 3
"""So much more may a unit take while nobody else writes."""
FIRST_ROWS: Final = 10
FEWEST_ROWS: Final = 8
"""A unit of one row takes nearly as long."""
MOST_ROWS: Final = 200
SHARE: Final = 0.05
"""Of the time while others write: units hold the writer, and reads take the processor from them."""
OTHERS_A_SECOND: Final = 15.0
"""So many units of others go on in any case: heartbeats, events of the audit trail and their chaining."""
OTHERS_AT_ONCE: Final = 3
LOOK_SECONDS: Final = 0.1
"""For so long units are counted before it is decided anew whether others write."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of the database a run takes."""

    unit_seconds: float = UNIT_SECONDS
    share: float = SHARE
    """While others write; alone it takes what it needs."""
    always_shared: bool = False
    """Others write whom this process does not see."""


class Beside:
    """Reads and writes beside the work. `wait` is awaited before each unit."""

    def __init__(self, store: Store, pace: Pace, wait: Callable[[], Any] | None) -> None:
        self._store = store
        self._pace = pace
        self._wait = wait
        self.rows = FIRST_ROWS
        """Of the next unit."""
        self._own = 0
        """Units that were ours."""
        self._looked_at = time.monotonic()
        self._theirs = store.units
        """Units of others by then."""
        self._is_shared = pace.always_shared

    async def write(self, unit: Callable[[Connection], T], *, rows: int = 0) -> T:
        """Run `unit`, which changes `rows`, then leave the writer to others for so long that they hardly notice; the
        next unit is as large as the time allows. Raises as `Store.write` does."""
        if self._wait is not None:
            await self._wait()
        begun = time.perf_counter()

        def timed(connection: Connection) -> T:
            nonlocal begun
            begun = time.perf_counter()
            return unit(connection)

        result = await self._store.write(timed)
        self._own += 1
        spent = time.perf_counter() - begun
        self._look()
        if rows:
            seconds = self._pace.unit_seconds * (1 if self._is_shared else ALONE)
            fitting = max(rows * seconds / max(spent, 1e-6), rows / 2, FEWEST_ROWS)
            self.rows = round(min(fitting, rows * 1.5 + 1, MOST_ROWS))
        await self._leave(spent)
        return result

    async def read(self, unit: Callable[[Connection], T]) -> T:
        """Read, then leave the processor to others. Raises as `Store.read_long` does."""
        begun = time.perf_counter()
        result = await self._store.read_long(unit)
        spent = time.perf_counter() - begun
        self._look()
        await self._leave(spent)
        return result

    def _look(self) -> None:
        """See whether others write."""
        now, theirs = time.monotonic(), self._store.units - self._own
        seconds = now - self._looked_at
        if seconds >= LOOK_SECONDS:
            others = theirs - self._theirs
            self._is_shared = self._pace.always_shared or others > max(OTHERS_A_SECOND * seconds, OTHERS_AT_ONCE)
            self._looked_at, self._theirs = now, theirs

    async def _leave(self, spent: float) -> None:
        await asyncio.sleep(spent * (1 / self._pace.share - 1) if self._is_shared else 0)
