"""Units of the writer: run with nothing to fall back on, or each within a savepoint of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.store import audit, pending
from gateway.store.keys import Contended
from gateway.store.outages import is_deadlock, is_lock_timeout, is_outage, unavailable
from gateway.store.read_ahead import Asked
from gateway.store.statement import execute

T = TypeVar("T")
Unit = Callable[[Connection], T]
HURRIED: Final = "SET LOCAL lock_timeout = 100"
"""PostgreSQL, milliseconds: for units that share the writer with who has waited long."""


class Job:
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


Run = Callable[[Connection, Job], None]


class UnitError(Exception):
    """A unit of a batch failed, and with it the transaction."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def send(connection: Connection) -> None:
    """Send the rows of units that ran with nothing to fall back on. Raises as `run_bare` does."""
    try:
        audit.go_with_rows(connection)
        pending.flush(connection)
    except DBAPIError as error:
        _raise(error)
    except (TypeError, ValueError) as error:  # a value that the driver cannot write
        raise UnitError(error) from error


def _raise(error: DBAPIError) -> NoReturn:
    """Raise what a unit met as `UnitError`, unless it concerns the whole transaction."""
    if _is_of_all(error):
        raise error
    raise UnitError(unavailable(error) if is_lock_timeout(error) else error) from error


def _is_of_all(error: DBAPIError) -> bool:
    """Whether what one unit met concerns the whole transaction."""
    return is_deadlock(error) or (is_outage(error) and not is_lock_timeout(error))


def run_bare(connection: Connection, job: Job) -> None:
    """Run one unit with nothing to fall back on. Raises `UnitError`, or what concerns the whole transaction."""
    job.result, job.error = None, None
    try:
        job.result = job.unit(connection)
    except Contended:
        raise
    except DBAPIError as error:
        _raise(error)
    except BaseException as error:
        raise UnitError(error) from error


def run_guarded(connection: Connection, job: Job) -> None:
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
        if _is_of_all(error):
            raise
        waited = is_lock_timeout(error)
        job.fail(unavailable(error) if waited else error)
    except BaseException as error:
        job.fail(error)
    audit.take_back(connection, events)
    pending.drop(connection)
    execute(connection, "ROLLBACK TO SAVEPOINT unit")
    execute(connection, "RELEASE SAVEPOINT unit")
    if waited:
        # Another process sits on a key. The rest of the batch, which holds keys of its own, does not wait as long.
        execute(connection, HURRIED)
