"""Events of the audit trail that are no part of a unit: who asked, who looked, who was refused. Written soon after."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import Connection

from gateway.records.audit import AuditEvent
from gateway.store import Store, audit

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.2
"""Events of this time share a transaction; what a crash takes with it is no more."""
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Between two tries while the database is away."""
MOST_WAITING: Final = 10_000
"""While the database is away so many events wait in memory; of further ones the number is recorded."""
SEAL_SECONDS: Final = 1.0
"""Events wait so long at most to be chained."""


class _Group:
    """Events that are written together."""

    __slots__ = ("events", "is_void")

    def __init__(self, events: list[AuditEvent]) -> None:
        self.events = events
        self.is_void = False
        """Nobody waits for it any more: they are in a later group."""

    def record(self, connection: Connection) -> None:
        """The unit of the writer, which may come to it long after the database did not answer in time."""
        for event in () if self.is_void else self.events:
            audit.record(connection, event)


class AuditLog:
    """`note` events; belongs to the event loop on which that is called. `close` writes what is left."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[AuditEvent] = []
        self._lost = 0
        self._is_away = False
        self._writing: asyncio.Task[None] | None = None

    def note(self, event: AuditEvent) -> None:
        """Write `event` soon. Nobody waits for it, and nothing fails for it."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append(event)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_soon(), name="audit log")

    async def close(self) -> None:
        """Write what waits."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _write_soon(self) -> None:
        pause = GATHER_SECONDS
        while self._waiting:
            await asyncio.sleep(pause)
            await self._write()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if self._is_away else GATHER_SECONDS

    async def _write(self) -> None:
        if not self._waiting:
            return
        group = _Group(self._waiting)
        self._waiting = []
        try:
            await self._store.write(group.record)
        except Exception as error:
            # They are tried again with those that come meanwhile, as far as there is room.
            group.is_void = True
            events = group.events + self._waiting
            self._lost += max(len(events) - MOST_WAITING, 0)
            self._waiting = events[:MOST_WAITING]
            if not self._is_away:
                log.warning("%d events of the audit trail wait: %s", len(self._waiting), type(error).__name__)
            self._is_away = True
        else:
            self._is_away = False
            if self._lost:
                log.error("%d events of the audit trail were lost while the database was away", self._lost)
                self._lost = 0


async def seal_all(store: Store) -> int:
    """Chain the events that wait; how many were chained. Raises `Unavailable`.

    Those of commits that come meanwhile wait on: where each commit leaves more, all would never be chained, and a few
    would be beside each.
    """
    number, waiting = 0, await store.read(audit.number_waiting)
    while number < waiting and (sealed := await store.write(audit.seal)):
        number += sealed
    return number


async def keep_sealing(store: Store) -> None:
    """Chain what waits, each second, without end. Raises `Unavailable`.

    On SQLite, where events are chained with their commit, it ends once that is chained which an older version left.
    """
    await seal_all(store)
    while store.engine.dialect.name == "postgresql":
        await asyncio.sleep(SEAL_SECONDS)
        await seal_all(store)
