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
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.errors import InDoubt, Unavailable
from gateway.records.work import WorkKind
from gateway.store import absences, audit, foreseen, pending, read_ahead
from gateway.store.answer_limit import AnswerLimit
from gateway.store.carried import carrying
from gateway.store.driver import begin_late, limit_statements
from gateway.store.keys import Contended
from gateway.store.outages import (
    is_deadlock,
    is_exhausted,
    is_lock_timeout,
    is_outage,
    is_read_only,
    unavailable,
)
from gateway.store.read_ahead import Asked
from gateway.store.statement import execute
from gateway.store.units import HURRIED, Job, Run, Unit, UnitError, run_bare, run_guarded, send

T = TypeVar("T")
Due = frozenset[WorkKind | None]
"""Kinds of which a transaction left work that is due; with `ANY`: of any kind."""
ANY: Final = None
NOTHING: Final[Due] = frozenset()
MAX_BATCH: Final = 256
TRIES: Final = 5
_ANNOUNCE: Final = "announce"


class Writer:
    """`on_commit` is called on the loop after each commit in which a unit asked for it, with what is due (see
    `announce`); `answer_seconds`: how long a caller waits for the database, None: without end."""

    def __init__(
        self, engine: Engine, on_commit: Callable[[Due], None] = lambda _due: None, *,
        answer_seconds: float | None = None,
    ) -> None:  # fmt: skip
        self._engine = engine
        audit.follow_savepoints(engine)
        absences.follow_writes(engine)
        foreseen.follow_writes(engine)
        pending.follow(engine)
        self._on_commit = on_commit
        self._connection: Connection | None = None
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._answer_seconds = answer_seconds
        self._limit = None if answer_seconds is None else AnswerLimit(self._loop, answer_seconds)
        self._closed = False
        self._is_away = False
        """The last transaction found no database."""
        self._committing = False
        """The last transaction came to its commit."""
        self.units = 0
        """Units that were run so far: by it those who can wait see whether others work."""
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, unit: Unit[T], asked: Asked | None = None) -> T:
        """Run `unit` and return its result once it is on disk. `asked`: what the unit will look for.

        A unit changes nothing but the database, and neither commits nor rolls back: after a deadlock, or when another
        unit beside it failed, it is run again.
        Whoever stops waiting does not take the unit back.

        Raises what the unit raises, with its work taken back, or `Unavailable` when the database is: `InDoubt` where it
        does not answer in time, or not to the commit, and the unit may still be done.
        """
        if self._closed:
            raise Unavailable("the store is closing", place="database")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(unit, asked, future))
        limit = self._limit
        if limit is None:
            return await future
        limit.begin(future)
        try:
            return await future
        finally:
            limit.forget_answered()

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
                due = self._commit(batch)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to notify
                    self._loop.call_soon_threadsafe(self._settle, batch, due)
        self._disconnect()

    def _collect(self) -> tuple[list[Job], bool]:
        """The units that wait, at least one; False once the last has been given."""
        batch: list[Job] = []
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

    def _settle(self, batch: list[Job], due: Due) -> None:
        self.units += len(batch)
        for job in batch:
            job.settle()
        if due:
            self._on_commit(due)

    def _commit(self, batch: list[Job]) -> Due:
        """Bring `batch` to disk; a failure becomes the error of its units and never ends the thread."""
        if self._closed and self._is_away:
            # Whoever stops does not wait once more for as long as a connection may take to be refused.
            self._fail(batch, Unavailable("the store is closing", place="database"))
            return NOTHING
        try:
            try:
                return self._transact(batch, run_bare)
            except UnitError as failed:
                if len(batch) == 1:
                    batch[0].fail(failed.cause)
                    return NOTHING
                return self._transact(batch, run_guarded)
        except BaseException as error:
            self._is_away = isinstance(error, DBAPIError) and is_outage(error)
            if not is_deadlock(error) and not (len(batch) > 1 and (is_exhausted(error) or is_lock_timeout(error))):
                self._fail(batch, error)
                return NOTHING
            # Two processes took the same rows in different order, another sits on a key, or all units together took
            # more locks than there are: alone, each unit holds fewer.
            hurried = is_lock_timeout(error)
        return NOTHING.union(*[self._commit_alone(job, hurried) for job in batch])

    def _commit_alone(self, job: Job, hurried: bool) -> Due:
        """`hurried`: there was long waiting for a key already."""
        for attempt in range(TRIES):
            try:
                return self._transact([job], run_guarded, hurried)
            except BaseException as error:
                if attempt == TRIES - 1 or not is_deadlock(error):
                    self._fail([job], error)
                    break
        return NOTHING

    def _transact(self, batch: list[Job], run: Run, hurried: bool = False) -> Due:
        """One transaction. When another one holds a key that `batch` needs, it is begun anew with its keys."""
        keys: frozenset[str] | None = frozenset()
        for attempt in range(TRIES):
            try:
                return self._attempt(batch, run, keys, hurried)
            except Contended as contended:
                # Which keys are needed may differ from time to time; the last attempt waits for each as it comes.
                keys = contended.asked if attempt < TRIES - 2 else None
        raise AssertionError("a transaction that waits for keys cannot be contended")

    def _attempt(self, batch: list[Job], run: Run, keys: frozenset[str] | None, hurried: bool) -> Due:
        """One transaction on the writer's own connection; after a failure of the database the next gets a new one.

        `keys`: to hold before the work; None: each is waited for when a unit asks for it. A connection that has gone
        stale since its last use shows at the first statement, before anything is done: then the work is begun anew on
        a fresh one. Once a commit is under way nothing is repeated. Raises `Contended`.
        """
        self._committing, fresh = False, self._connection is None
        connection = self._connection = self._connection or self._engine.connect()
        if fresh:
            limit_statements(connection, self._answer_seconds)
            begin_late(connection)
        try:
            with connection.begin() as transaction:
                if hurried:
                    execute(connection, HURRIED)
                due = _work(connection, batch, run, keys)
                self._committing = True
                transaction.commit()
            self._is_away = False
            return due
        except DBAPIError as error:
            self._disconnect()
            if is_read_only(error):
                # Which server a pooled connection leads to was decided before another took its place.
                self._engine.dispose()
            if fresh or self._committing or not error.connection_invalidated:
                raise
        return self._attempt(batch, run, keys, hurried)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()

    def _fail(self, batch: list[Job], error: BaseException) -> None:
        kind = InDoubt if self._committing else Unavailable
        for job in batch:
            job.fail(unavailable(error, kind) if isinstance(error, DBAPIError) else error)


def _work(connection: Connection, batch: list[Job], run: Run, keys: frozenset[str] | None) -> Due:
    """Run the units of a transaction that has begun, and send what they leave; gives what is due. `keys`: as
    `Writer._attempt`."""
    carries = carrying(connection)
    try:
        foreseen.begin(connection)
        ahead = read_ahead.begin(connection, keys, [job.asked for job in batch if job.asked is not None])
        absences.begin(connection, ahead.absent)
        pending.begin(connection, ahead.row_keys)
        audit.begin(connection)
        for job in batch:
            run(connection, job)
        if run is run_bare:
            # Guarded units have sent their rows, each within its savepoint; the events are of them all.
            send(connection)
        audit.write_gathered(connection)
        return frozenset(carries.get(_ANNOUNCE, NOTHING))
    finally:
        # All of it is of this transaction.
        carries.clear()


def announce(connection: Connection, *kinds: WorkKind) -> None:
    """Ask that the worker be woken after the commit: this unit left work of `kinds` that is due, or may have left some
    of any kind where none is named."""
    carrying(connection).setdefault(_ANNOUNCE, set()).update(kinds or (ANY,))
