"""Failures of the database itself, as against statements that it refused: what they are, and what callers see."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import Unavailable

_DEADLOCK: Final = frozenset({"40P01", "40001"})
"""PostgreSQL deadlock_detected and serialization_failure: nothing was done, the same work may be tried again."""
_LOCK_TIMEOUT: Final = "55P03"
_READ_ONLY: Final = frozenset({"25006", "0A000"})
"""A standby, or a server that was made read-only (`feature_not_supported`: what recovery does not allow): another will
take its place."""
_EXHAUSTED: Final = "53200"
_OUTAGE_CLASSES: Final = frozenset({"08", "53", "57", "58"})
"""SQLSTATE classes: connection, resources (disk full), operator intervention, system; PostgreSQL appendix A."""
_SQLITE_OUTAGES: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
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


def is_lock_timeout(error: DBAPIError) -> bool:
    """Whether another transaction holds a key for too long."""
    return _sqlstate(error) == _LOCK_TIMEOUT


def is_outage(error: DBAPIError) -> bool:
    """Whether the database itself failed (gone, full, locked), as against a statement it refused."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_OUTAGES
    state = _sqlstate(error)
    # psycopg tells of a connection that could not be made, or broke, without a state.
    outage = state[:2] in _OUTAGE_CLASSES or state == _LOCK_TIMEOUT or state in _READ_ONLY
    return outage or (isinstance(error, OperationalError) and not state)


def reason_of(error: DBAPIError) -> str:
    """The first line of what the database says; the statement and its values stay out of it."""
    lines = str(error.orig or "").strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def unavailable(error: DBAPIError) -> Unavailable:
    """The error that callers see when the database failed them."""
    return Unavailable(f"the database failed: {reason_of(error)}", place="database")


@contextlib.asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Raises `Unavailable` when the database has not answered within `seconds`; None: waits without end."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise Unavailable(f"the database has not answered for {seconds:g} s", place="database") from None
