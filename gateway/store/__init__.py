"""The store: what is known, on disk. `Store` opens it; the modules beside it hold one table group each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from gateway.clock import Clock, SteadyClock, elapsed, now
from gateway.errors import ConfigError, Unavailable
from gateway.store import heartbeats, migrations
from gateway.store.driver import limit_statements
from gateway.store.engine import JOBS, READERS, begin_reading, open_engine
from gateway.store.outages import is_no_database, is_outage, reason_of, unavailable, within
from gateway.store.pulse import Pulse
from gateway.store.read_ahead import Asked
from gateway.store.units import Unit
from gateway.store.writer import Due, Writer

T = TypeVar("T")


class Store:
    """The open database. Created inside the running loop; `close` it when done.

    Work is given as plain functions of a SQLAlchemy `Connection`: `write` runs them in the group-commit writer,
    `read` in one of a few reader threads on a snapshot of what is committed; `read_long` in one of a few others.
    """

    def __init__(self, url: str, *, answer_seconds: float | None = None, job_seconds: float | None = None) -> None:
        self.engine: Engine = open_engine(url, answer_seconds=answer_seconds)
        self._answer_seconds = answer_seconds
        self._job_seconds = job_seconds
        self._closed = False
        self._wall: Clock = now
        self._gateway = uuid.uuid4().hex
        self.steady = SteadyClock()
        """By which what waits is measured."""
        self.pulse = Pulse(self.beat)
        event.listen(self.engine, "connect", lambda _driver, record: heartbeats.attach(record.info, self.steady))
        self._listeners: list[Callable[[Due], None]] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._jobs = ThreadPoolExecutor(JOBS, thread_name_prefix="store-job")
        self._writer = Writer(self.engine, self._committed, answer_seconds=answer_seconds)

    @classmethod
    async def open(cls, url: str, *, answer_seconds: float | None = None, job_seconds: float | None = None) -> Store:
        """Open the database at `url`; an empty one gets its tables, an older one is refused with the cure.

        `answer_seconds`: how long `read` and `write` wait for a database that neither answers nor closes its
        connection; `job_seconds`: how long `read_long` does. None: without end. To make tables takes its time.

        Raises `ConfigError` (wrong address or schema) or `Unavailable`.
        """
        store = cls(url, answer_seconds=answer_seconds, job_seconds=job_seconds)
        try:
            async with within(answer_seconds):
                has_tables = await asyncio.to_thread(migrations.has_tables, store.engine)
            if not has_tables:
                # To make them takes a slow disk longer than an answer: who gave up would begin anew at the next start.
                await asyncio.to_thread(migrations.upgrade, store.engine)
            async with within(answer_seconds):
                await asyncio.to_thread(store._take_over_time)
        except DBAPIError as error:
            await store.close()
            if is_outage(error) and not is_no_database(error):
                raise unavailable(error) from error
            raise ConfigError([f"database.url: the database refuses to serve: {reason_of(error)}"]) from error
        except BaseException:
            await store.close()
            raise
        return store

    def _take_over_time(self) -> None:
        read = partial(self._read, seconds=self._answer_seconds, key="database.answer_seconds")
        if ahead := read(heartbeats.ahead):
            # A gateway works here whose steady time is not its wall clock's: what this process adds must be due there.
            moment = read(lambda connection: heartbeats.wall_clock(connection, now()))
            self.steady.begin(moment + ahead, elapsed, now)

    async def begin_steady_time(self, wall: Clock, elapsed: Clock) -> None:
        """Measure what waits by `elapsed` from now on, going on from what is kept; `wall` is the clock of all else.

        Raises `Unavailable`.
        """
        self._wall = wall
        self.steady.begin(await self.read(lambda connection: heartbeats.beginning(connection, wall())), elapsed, wall)

    async def beat(self, padding: bytes = b"") -> None:
        """Write a heartbeat, and take over the steady time of a gateway that measured longer. Raises `Unavailable`."""
        unit = partial(heartbeats.beat, gateway=self._gateway, now=self._wall(), padding=padding)
        self.steady.reach(await self._writer.write(unit))

    def on_due(self, listener: Callable[[Due], None]) -> None:
        """Call `listener` on the loop after commits that left work which is due, with its kinds. A hint, not a
        message."""
        self._listeners.append(listener)

    def _committed(self, due: Due) -> None:
        for listener in self._listeners:
            listener(due)

    async def write(self, unit: Unit[T], asked: Asked | None = None) -> T:
        """Run `unit` in the next transaction and return its result after the commit. Raises `Unavailable`.

        `asked`: what the unit will look for, which is then looked for together with what others ask.

        See `Writer.write` for what a unit must hold to.
        """
        try:
            result = await self._writer.write(unit, asked)
        except Unavailable as error:
            if not self._closed:
                self.pulse.failed(error)
            raise
        self.pulse.committed()
        return result

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on a snapshot; the database refuses it any change.

        Raises `Unavailable`, also when the database does not answer in time.
        """
        return await self._read_by(self._readers, unit, self._answer_seconds, "database.answer_seconds")

    async def read_long(self, unit: Unit[T]) -> T:
        """As `read`, for work that nobody waits for: retention, an export, a comparison. Takes no thread of those who
        wait."""
        return await self._read_by(self._jobs, unit, self._job_seconds, "database.job_seconds")

    async def _read_by(self, threads: ThreadPoolExecutor, unit: Unit[T], seconds: float | None, key: str) -> T:
        if self._closed:
            raise Unavailable("the store is closing", place="database")
        read = partial(self._read, unit, seconds, key)
        async with within(seconds):
            return await asyncio.get_running_loop().run_in_executor(threads, read)

    def _read(self, unit: Unit[T], seconds: float | None, key: str) -> T:
        try:
            with self.engine.connect() as fresh:
                limit_statements(fresh, seconds)
                connection = begin_reading(fresh)
                return unit(connection)
        except DBAPIError as error:
            if is_outage(error):
                raise unavailable(error, limit=key) from error
            raise

    @property
    def units(self) -> int:
        """How many units this process has written."""
        return self._writer.units

    async def close(self) -> None:
        """Finish the work that was given, then let go of the database."""
        self._closed = True
        self.pulse.close()
        await self._writer.close()
        for threads in (self._readers, self._jobs):
            await asyncio.to_thread(threads.shutdown)
        await asyncio.to_thread(self.engine.dispose)


__all__ = ["Connection", "Store", "Unit"]
