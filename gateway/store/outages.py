"""Failures of the database itself, as against statements that it refused: what they are, and what callers see."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import InDoubt, Unavailable

_DEADLOCK: Final = frozenset({"40P01", "40001"})
"""PostgreSQL deadlock_detected and serialization_failure: nothing was done, the same work may be tried again."""
_LOCK_TIMEOUT: Final = "55P03"
_CANCELED: Final = "57014"
"""query_canceled: by a person, or for `statement_timeout`."""
_READ_ONLY: Final = frozenset({"25006", "0A000"})
"""A standby, or a server that was made read-only (`feature_not_supported`: what recovery does not allow): another will
take its place."""
_EXHAUSTED: Final = "53200"
_OUTAGE_CLASSES: Final = frozenset({"08", "53", "55", "57", "58", "72", "XX"})
"""SQLSTATE classes: connection, resources (disk full), objects that are not in the state for it (a database that takes
no connections), operator intervention, system, snapshots that are gone, internal; PostgreSQL appendix A."""
_OUTAGES: Final = _DEADLOCK | _READ_ONLY | {"40003", "25P03", "25P04"}
"""And of other classes: a conflict with what a standby replays, a commit whose end is not known, sessions that were
ended for their age."""
_WRAPAROUND: Final = frozenset({"GetNewTransactionId", "GetNewMultiXactId"})
"""Functions of PostgreSQL that refuse every write before transaction ids run out. Their SQLSTATE, 54000, is otherwise
that of a statement."""
_SQLITE_OUTAGES: Final = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_ABORT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_NOTADB,
    }
)  # fmt: skip
"""Primary result codes of SQLite that speak of the file or the disk, not of the statement."""


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def is_deadlock(error: BaseException) -> bool:
    """Whether the database took the work back for the sake of another transaction: it may be tried anew."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in _DEADLOCK


def is_exhausted(error: BaseException) -> bool:
    """Whether the transaction needed more than the server has, such as locks."""
    return isinstance(error, DBAPIError) and _sqlstate(error) == _EXHAUSTED


def is_lock_timeout(error: BaseException) -> bool:
    """Whether another transaction holds a key for too long."""
    return isinstance(error, DBAPIError) and _sqlstate(error) == _LOCK_TIMEOUT


def is_statement_timeout(error: DBAPIError) -> bool:
    """Whether PostgreSQL ended the statement for the time that it took."""
    return _sqlstate(error) == _CANCELED and "timeout" in reason_of(error)


def is_outage(error: DBAPIError) -> bool:
    """Whether the database itself failed (gone, full, locked), as against a statement it refused."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error) in _SQLITE_OUTAGES
    state = _sqlstate(error)
    if not state:
        # psycopg tells of a connection that could not be made, or broke, without a state.
        return isinstance(error, OperationalError)
    return state[:2] in _OUTAGE_CLASSES or state in _OUTAGES or _diagnosed(error) in _WRAPAROUND


def is_read_only(error: DBAPIError) -> bool:
    """Whether the server takes no writes at all: a new connection may lead to another."""
    return _sqlstate(error) in _READ_ONLY


def is_no_database(error: DBAPIError) -> bool:
    """Whether a file is not one of SQLite, or an encrypted one."""
    return isinstance(error.orig, sqlite3.Error) and _sqlite_code(error) == sqlite3.SQLITE_NOTADB


def _sqlite_code(error: DBAPIError) -> int:
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _diagnosed(error: DBAPIError) -> str | None:
    """The function of PostgreSQL that raised `error`."""
    function: str | None = getattr(getattr(error.orig, "diag", None), "source_function", None)
    return function


def reason_of(error: DBAPIError) -> str:
    """The first line of what the database says; the statement and its values stay out of it."""
    lines = str(error.orig or "").strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _code_of(error: DBAPIError) -> str:
    """SQLSTATE, or the result code of SQLite, in brackets; empty: the driver gives none."""
    code = getattr(error.orig, "sqlite_errorname", None) or _sqlstate(error)
    return f" ({code})" if code else ""


def unavailable(
    error: DBAPIError, kind: type[Unavailable] = Unavailable, *, limit: str = "database.answer_seconds"
) -> Unavailable:
    """The error that callers see when the database failed them; its cause is the driver's own.

    `limit`: the key of the configuration that says how long a statement may take.
    """
    text = f"the database failed: {reason_of(error)}{_code_of(error)}"
    if is_statement_timeout(error):
        text = f"a statement took longer than {limit} lets it: ask for less, or raise the key"
    failure = kind(text, place="database")
    failure.__cause__ = error
    return failure


def unanswered(seconds: float | None) -> InDoubt:
    """The error of a database that has not answered for so long."""
    return InDoubt(f"the database has not answered for {seconds:g} s", place="database")


@contextlib.asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Raises `Unavailable` when the database has not answered within `seconds`; None: waits without end."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise unanswered(seconds) from None
