"""Events of the audit trail that are no part of a unit: who asked, who looked, who was refused. Written soon after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.records.audit import AuditEvent
from gateway.store import Store, audit

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.2
"""Events of this time share a transaction; what a crash takes with it is no more."""
MOST_WAITING: Final = 10_000
"""While the database is away so many events wait in memory; of further ones the number is recorded."""
SEAL_SECONDS: Final = 1.0
"""Events wait so long at most to be chained."""


class AuditLog:
    """`note` events; belongs to the event loop on which that is called. `close` writes what is left."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[AuditEvent] = []
        self._lost = 0
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
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            await self._write()

    async def _write(self) -> None:
        if not self._waiting:
            return
        events = self._waiting
        self._waiting = []
        try:
            await self._store.write(partial(_record_all, events))
        except Exception as error:
            # They are tried again with those that come meanwhile, as far as there is room.
            events += self._waiting
            self._lost += max(len(events) - MOST_WAITING, 0)
            self._waiting = events[:MOST_WAITING]
            log.warning("%d events of the audit trail wait: %s", len(self._waiting), type(error).__name__)
        else:
            if self._lost:
                log.error("%d events of the audit trail were lost while the database was away", self._lost)
                self._lost = 0


def _record_all(events: Sequence[AuditEvent], connection: Connection) -> None:
    for event in events:
        audit.record(connection, event)


async def seal_all(store: Store) -> int:
    """Chain all events that wait; how many there were. Raises `Unavailable`."""
    number = 0
    while sealed := await store.write(audit.seal):
        number += sealed
    return number


async def keep_sealing(store: Store) -> None:
    """Chain what waits, each second, without end. Raises `Unavailable`."""
    while True:
        if await store.read(audit.is_waiting):
            await seal_all(store)
        await asyncio.sleep(SEAL_SECONDS)
