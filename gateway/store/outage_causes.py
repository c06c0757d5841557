"""Why a database fails, in words that may be shown without a login: the driver's own may name hosts and users."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

NO_ANSWER: Final = "the database does not answer"
_UNREACHABLE: Final = "the database cannot be reached; the log says why"
_READ_ONLY: Final = "the database is read-only"
_DISK_FULL: Final = "the disk of the database is full"
_SQLITE: Final = {
    sqlite3.SQLITE_FULL: _DISK_FULL,
    sqlite3.SQLITE_BUSY: "another program holds the database locked",
    sqlite3.SQLITE_LOCKED: "another program holds the database locked",
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: "the disk of the database fails",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the database file is damaged",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
}
"""By primary result code."""
_POSTGRESQL: Final = {
    "53100": _DISK_FULL,
    "53300": "the database takes no more connections",
    "25006": _READ_ONLY,
    "0A000": _READ_ONLY,
    "55P03": "another transaction holds a lock",
    "57P01": "the database is being stopped",
    "57P02": "the database is being stopped",
    "57P03": "the database is being started",
    "58030": "the disk of the database fails",
}
"""By SQLSTATE, PostgreSQL appendix A."""


def cause_of(error: BaseException) -> str:
    """The cause of an `Unavailable` of the store, or of another error of a unit."""
    failure = error.__cause__
    if not isinstance(failure, DBAPIError):
        return NO_ANSWER
    if isinstance(failure.orig, sqlite3.Error):
        return _SQLITE.get(getattr(failure.orig, "sqlite_errorcode", 0) & 0xFF, _UNREACHABLE)
    return _POSTGRESQL.get(str(getattr(failure.orig, "sqlstate", None) or ""), _UNREACHABLE)
