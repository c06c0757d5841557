"""The chain of the audit trail, proven in the background: the newest rows each hour, all of them each day."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.observe import metrics
from gateway.operations.audit.exporting import chain_broken
from gateway.operations.audit.verifying import ChainFault, Walk
from gateway.records.audit import GATEWAY, AuditEvent
from gateway.store import Store, audit
from gateway.store.audit import Link
from gateway.store.audit_listing import rows_after

log = logging.getLogger(__name__)

NEWEST_ROWS: Final = 10_000
"""At least, and all since the walk before."""
SLICE: Final = 100
"""Rows of one read: one or two milliseconds."""


@dataclass(frozen=True, slots=True)
class ChainPace:
    """When the chain is walked, and how slowly."""

    first_seconds: float = 60.0
    """After a start others come first."""
    newest_seconds: float = 3_600.0
    whole_seconds: float = 86_400.0
    """From the end of a walk to the beginning of the next."""
    share: float = 0.02
    """Of the time it may read: a million rows take half an hour."""


@dataclass(frozen=True, slots=True)
class ChainStanding:
    """What the walks have shown. Moments: microseconds since 1970."""

    fault: ChainFault | None = None
    """The first row that is not as it was chained, of those that the last walks have seen."""
    fault_since: int | None = None
    newest_at: int | None = None
    """When a walk along the newest rows ended last."""
    whole_at: int | None = None
    """When a walk along all rows ended last."""
    rows: int = 0
    """Of the last walk along all."""


class ChainWatch:
    """Walks along the chain again and again. What it has seen is in memory; `note` takes the event of a fault.

    The head that a walk has proven is compared by the next: what is cut off at the end, or made anew as a whole, is
    seen as long as the process runs.
    """

    def __init__(
        self, store: Store, note: Callable[[AuditEvent], None], clock: Clock, pace: ChainPace | None = None
    ) -> None:
        self._store = store
        self._note = note
        self._clock = clock
        self._pace = pace or ChainPace()
        self._proven: Link | None = None
        """The head when the newest rows were walked last."""
        self._whole: Walk | None = None
        """The walk along all rows that is under way."""
        self._newest_fault: ChainFault | None = None
        self._whole_fault: ChainFault | None = None
        self._standing = ChainStanding()

    def standing(self) -> ChainStanding:
        """What was seen so far."""
        return self._standing

    async def keep_newest(self) -> None:
        """Walk along the newest rows, each hour, without end. Raises `Unavailable`."""
        await self._each(self._pace.newest_seconds, self.walk_newest)

    async def keep_whole(self) -> None:
        """Walk along all rows, each day, without end. Raises `Unavailable`; called again, the walk goes on."""
        await self._each(self._pace.whole_seconds, self.walk_whole)

    async def _each(self, seconds: float, walk: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self._pace.first_seconds)
        while True:
            await walk()
            await asyncio.sleep(seconds)

    async def walk_newest(self) -> None:
        """Walk along the newest rows once."""
        walk = Walk(await self._store.read_long(self._before_newest), self._proven, SLICE)
        await self._go(walk)
        self._newest_fault = walk.fault or await self._store.read_long(walk.reaches_noted)
        if self._newest_fault is None:
            self._proven = walk.link
        self._show(replace(self._standing, newest_at=self._clock()))

    async def walk_whole(self) -> None:
        """Walk along all rows once."""
        walk = self._whole = self._whole or Walk(await self._store.read_long(audit.beginning), None, SLICE)
        await self._go(walk)
        self._whole_fault = walk.fault or await self._store.read_long(walk.ends)
        self._whole = None
        self._show(replace(self._standing, whole_at=self._clock(), rows=walk.rows))

    async def _go(self, walk: Walk) -> None:
        going = walk.fault is None
        while going:
            begun, rows = time.perf_counter(), walk.rows
            going = await self._store.read_long(walk.next_rows)
            metrics.AUDIT_CHAIN_CHECKED.inc(walk.rows - rows)
            spent = time.perf_counter() - begun
            await asyncio.sleep(spent * (1 / self._pace.share - 1))

    def _show(self, standing: ChainStanding) -> None:
        faults = [fault for fault in (self._whole_fault, self._newest_fault) if fault is not None]
        fault = min(faults, key=lambda one: one.sequence, default=None)
        before = self._standing.fault
        since = None if fault is None else self._standing.fault_since or self._clock()
        self._standing = replace(standing, fault=fault, fault_since=since)
        metrics.AUDIT_CHAIN_BROKEN.set(fault is not None)
        if fault is None and before is not None:
            log.warning("the chain of the audit trail is whole again")
        elif fault is not None and (before is None or before.sequence != fault.sequence):
            log.error("the chain of the audit trail is broken at %s", fault)
            self._note(chain_broken(GATEWAY, str(fault), self._clock()))

    def _before_newest(self, connection: Connection) -> Link:
        """What the newest rows build on."""
        anchor, proven = audit.beginning(connection), self._proven
        first = audit.head(connection).sequence - NEWEST_ROWS
        if proven is not None and anchor.sequence < proven.sequence <= first:
            return proven
        rows = rows_after(connection, first - 1, limit=1)
        return Link(rows[0].sequence, rows[0].hash) if rows and first > anchor.sequence else anchor
