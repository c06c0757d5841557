"""The group-commit writer: one thread, one connection, one commit for all the work that waited.

A *unit* is a plain function of a connection. Units that queue up while a commit is under way run in the next
transaction, in the order in which they were given. When one fails, the transaction is taken back and all run again,
each inside its own savepoint, so that it takes only itself back. The caller gets its result after the commit, never
before. Forcing the disk costs the same for one unit as for two hundred, which is what makes `synchronous=FULL`
affordable.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.errors import Unavailable
from gateway.store import absences, audit, read_ahead
from gateway.store.keys import Contended
from gateway.store.outages import (
    is_deadlock,
    is_exhausted,
    is_lock_timeout,
    is_outage,
    is_read_only,
    unanswered,
    unavailable,
)
from gateway.store.read_ahead import Asked
from gateway.store.statement import execute

T = TypeVar("T")
Unit = Callable[[Connection], T]
MAX_BATCH: Final = 256
TRIES: Final = 5
_HURRIED: Final = "SET LOCAL lock_timeout = 100"
"""PostgreSQL, milliseconds: for units that share the writer with who has waited long."""


class _Job:
    __slots__ = ("asked", "error", "future", "result", "unit")

    def __init__(self, unit: Unit[Any], asked: Asked | None, future: asyncio.Future[Any]) -> None:
        self.unit = unit
        self.asked = asked
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        if isinstance(error, StopIteration):
            # A future does not take one: it would end the generator that waits for it.
            failure = RuntimeError("a unit raised StopIteration")
            failure.__cause__ = error
            error = failure
        self.result, self.error = None, error

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


_Run = Callable[[Connection, _Job], None]


class Writer:
    """`on_commit` is called on the loop after each commit in which a unit asked for it (see `announce`);
    `answer_seconds`: how long a caller waits for the database, None: without end."""

    def __init__(
        self, engine: Engine, on_commit: Callable[[], None] = lambda: None, *, answer_seconds: float | None = None
    ) -> None:
        self._engine = engine
        audit.follow_savepoints(engine)
        absences.follow_writes(engine)
        self._answer_seconds = answer_seconds
        self._on_commit = on_commit
        self._connection: Connection | None = None
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.units = 0
        """Units that were run so far: by it those who can wait see whether others work."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, unit: Unit[T], asked: Asked | None = None) -> T:
        """Run `unit` and return its result once it is on disk. `asked`: what the unit will look for.

        A unit changes nothing but the database, and neither commits nor rolls back: after a deadlock, or when another
        unit beside it failed, it is run again.
        Whoever stops waiting does not take the unit back.

        Raises what the unit raises, with its work taken back, or `Unavailable` when the database is. A database that
        does not answer in time is unavailable too, and the unit may still be done.
        """
        if self._closed:
            raise Unavailable("the store is closing", place="database")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(unit, asked, future))
        if self._answer_seconds is None:
            return await future
        limit = self._loop.call_later(self._answer_seconds, self._give_up, future)
        try:
            return await future
        finally:
            limit.cancel()

    def _give_up(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            future.set_exception(unanswered(self._answer_seconds))

    async def close(self) -> None:
        """Finish what was given, then end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._collect()
            if batch:
                announced = self._commit(batch)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to notify
                    self._loop.call_soon_threadsafe(self._settle, batch, announced)
        self._disconnect()

    def _collect(self) -> tuple[list[_Job], bool]:
        """The units that wait, at least one; False once the last has been given."""
        batch: list[_Job] = []
        job = self._queue.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MAX_BATCH:
                return batch, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _settle(self, batch: list[_Job], announced: bool) -> None:
        self.units += len(batch)
        for job in batch:
            job.settle()
        if announced:
            self._on_commit()

    def _commit(self, batch: list[_Job]) -> bool:
        """Bring `batch` to disk; a failure becomes the error of its units and never ends the thread."""
        try:
            try:
                return self._transact(batch, _run_bare)
            except _UnitError as failed:
                if len(batch) == 1:
                    batch[0].fail(failed.cause)
                    return False
                return self._transact(batch, _run_guarded)
        except BaseException as error:
            if not is_deadlock(error) and not (len(batch) > 1 and (is_exhausted(error) or is_lock_timeout(error))):
                _fail(batch, error)
                return False
            # Two processes took the same rows in different order, another sits on a key, or all units together took
            # more locks than there are: alone, each unit holds fewer.
            hurried = is_lock_timeout(error)
        announced = [self._commit_alone(job, hurried) for job in batch]
        return any(announced)

    def _commit_alone(self, job: _Job, hurried: bool) -> bool:
        """`hurried`: there was long waiting for a key already."""
        for attempt in range(TRIES):
            try:
                return self._transact([job], _run_guarded, hurried)
            except BaseException as error:
                if attempt == TRIES - 1 or not is_deadlock(error):
                    _fail([job], error)
                    break
        return False

    def _transact(self, batch: list[_Job], run: _Run, hurried: bool = False) -> bool:
        """One transaction. When another one holds a key that `batch` needs, it is begun anew with its keys."""
        keys: frozenset[str] | None = frozenset()
        for attempt in range(TRIES):
            try:
                return self._attempt(batch, run, keys, hurried)
            except Contended as contended:
                # Which keys are needed may differ from time to time; the last attempt waits for each as it comes.
                keys = contended.asked if attempt < TRIES - 2 else None
        raise AssertionError("a transaction that waits for keys cannot be contended")

    def _attempt(self, batch: list[_Job], run: _Run, keys: frozenset[str] | None, hurried: bool) -> bool:
        """One transaction on the writer's own connection; after a failure of the database the next gets a new one.

        `keys`: to hold before the work; None: each is waited for when a unit asks for it. A connection that has gone
        stale since its last use shows at the first statement, before anything is done: then the work is begun anew on
        a fresh one. Once a commit is under way nothing is repeated. Raises `Contended`.
        """
        fresh = self._connection is None
        connection = self._connection = self._connection or self._engine.connect()
        connection.info.pop("announce", None)
        committing = False
        try:
            with connection.begin() as transaction:
                if hurried:
                    execute(connection, _HURRIED)
                absent = read_ahead.begin(connection, keys, [job.asked for job in batch if job.asked is not None])
                with audit.gathered(connection), absences.noted(connection, absent):
                    for job in batch:
                        run(connection, job)
                committing = True
                transaction.commit()
            return bool(connection.info.pop("announce", False))
        except DBAPIError as error:
            self._disconnect()
            if is_read_only(error):
                # Which server a pooled connection leads to was decided before another took its place.
                self._engine.dispose()
            if fresh or committing or not error.connection_invalidated:
                raise
        return self._attempt(batch, run, keys, hurried)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()


class _UnitError(Exception):
    """A unit of a batch failed, and with it the transaction."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def _run_bare(connection: Connection, job: _Job) -> None:
    """Run one unit with nothing to fall back on. Raises `_UnitError`, or what concerns the whole transaction."""
    job.result, job.error = None, None
    try:
        job.result = job.unit(connection)
    except Contended:
        raise
    except DBAPIError as error:
        waited = is_lock_timeout(error)
        if is_deadlock(error) or (is_outage(error) and not waited):
            raise
        raise _UnitError(unavailable(error) if waited else error) from error
    except BaseException as error:
        raise _UnitError(error) from error


def _run_guarded(connection: Connection, job: _Job) -> None:
    """Run one unit inside its savepoint. Raises what concerns the whole transaction."""
    job.result, job.error = None, None
    execute(connection, "SAVEPOINT unit")
    events = audit.number_gathered(connection)
    waited = False
    try:
        job.result = job.unit(connection)
        execute(connection, "RELEASE SAVEPOINT unit")
        return
    except Contended:
        raise
    except DBAPIError as error:
        waited = is_lock_timeout(error)
        if is_deadlock(error) or (is_outage(error) and not waited):
            raise
        job.fail(unavailable(error) if waited else error)
    except BaseException as error:
        job.fail(error)
    audit.take_back(connection, events)
    execute(connection, "ROLLBACK TO SAVEPOINT unit")
    execute(connection, "RELEASE SAVEPOINT unit")
    if waited:
        # Another process sits on a key. The rest of the batch, which holds keys of its own, does not wait as long.
        execute(connection, _HURRIED)


def _fail(batch: list[_Job], error: BaseException) -> None:
    for job in batch:
        job.fail(unavailable(error) if isinstance(error, DBAPIError) else error)


def announce(connection: Connection) -> None:
    """Ask that the worker be woken after the commit: this unit left work that is due."""
    connection.info["announce"] = True
