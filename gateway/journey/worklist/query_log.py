"""Queries of scanners and the steps in the answers, for `gateway show` and `gateway why`: written after the answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from gateway.records.audit import AuditEvent
from gateway.store import Store, audit, scanner_queries
from gateway.store.scanner_queries import ScannerQuery

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.2
"""Queries of this time share a transaction; what a crash takes with it is no more."""
MOST_WAITING: Final = 1000
"""Further ones are not kept while the database is away."""


_Noted = tuple[ScannerQuery, Callable[[], AuditEvent]]


class QueryLog:
    """`note` each query; belongs to the event loop on which that is called. `close` writes what is left."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Noted] = []
        self._lost = 0
        self._writing: asyncio.Task[None] | None = None

    def note(self, query: ScannerQuery, event: Callable[[], AuditEvent]) -> None:
        """`event` makes the event of the audit trail."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append((query, event))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write_soon())

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _write_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            await self._write()

    async def _write(self) -> None:
        queries, self._waiting = self._waiting, []
        if not queries:
            return
        try:
            adding = scanner_queries.adding([query for query, _ in queries])
            await self._store.write(lambda connection: _keep(connection, queries), adding)
        except Exception as error:
            self._lost += len(queries)
            log.warning("%d worklist queries were not logged: %s", self._lost, type(error).__name__)
            self._lost = 0


def _keep(connection: Connection, queries: Sequence[_Noted]) -> None:
    scanner_queries.log(connection, [query for query, _ in queries])
    for _, event in queries:
        audit.record(connection, event())
