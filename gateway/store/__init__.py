"""The store: what is known, on disk. `Store` opens it; the modules beside it hold one table group each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.errors import ConfigError, Unavailable
from gateway.store import migrations
from gateway.store.engine import begin_reading, open_engine
from gateway.store.outages import is_no_database, is_outage, reason_of, unavailable, within
from gateway.store.writer import Unit, Writer

T = TypeVar("T")
READERS = 4


class Store:
    """The open database. Created inside the running loop; `close` it when done.

    Work is given as plain functions of a SQLAlchemy `Connection`: `write` runs them in the group-commit writer,
    `read` in one of a few reader threads on a snapshot of what is committed.
    """

    def __init__(self, url: str, *, answer_seconds: float | None = None) -> None:
        self.engine: Engine = open_engine(url)
        self._answer_seconds = answer_seconds
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer = Writer(self.engine, self._committed, answer_seconds=answer_seconds)

    @classmethod
    async def open(cls, url: str, *, answer_seconds: float | None = None) -> Store:
        """Open the database at `url`; an empty one gets its tables, an older one is refused with the cure.

        `answer_seconds`: how long `read` and `write` wait for a database that neither answers nor closes its
        connection; None: without end, for a command that a person can stop.

        Raises `ConfigError` (wrong address or schema) or `Unavailable`.
        """
        store = cls(url, answer_seconds=answer_seconds)
        try:
            await asyncio.to_thread(migrations.prepare, store.engine)
        except DBAPIError as error:
            await store.close()
            if is_outage(error) and not is_no_database(error):
                raise unavailable(error) from error
            raise ConfigError([f"database.url: the database refuses to serve: {reason_of(error)}"]) from error
        except BaseException:
            await store.close()
            raise
        return store

    def on_due(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the loop after commits that left work which is due. A hint, not a message."""
        self._listeners.append(listener)

    def _committed(self) -> None:
        for listener in self._listeners:
            listener()

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in the next transaction and return its result after the commit. Raises `Unavailable`.

        See `Writer.write` for what a unit must hold to.
        """
        return await self._writer.write(unit)

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on a snapshot; the database refuses it any change.

        Raises `Unavailable`, also when the database does not answer in time.
        """
        if self._closed:
            raise Unavailable("the store is closing", place="database")
        async with within(self._answer_seconds):
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, unit)

    def _read(self, unit: Unit[T]) -> T:
        try:
            with self.engine.connect() as fresh:
                connection = begin_reading(fresh)
                return unit(connection)
        except DBAPIError as error:
            if is_outage(error):
                raise unavailable(error) from error
            raise

    async def close(self) -> None:
        """Finish the work that was given, then let go of the database."""
        self._closed = True
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self.engine.dispose)


__all__ = ["Connection", "Store", "Unit"]
