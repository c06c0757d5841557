"""Opening the database: one engine for SQLite and PostgreSQL alike, with the settings that make a commit durable."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from gateway.errors import ConfigError
from gateway.store.driver import call_at_once, statement_ms
from gateway.store.keys import keys_of, wait_for

LOCK_TIMEOUT_MS: Final = 10_000
WAL_BYTES: Final = 16 * 1024 * 1024
"""What SQLite's write-ahead log may keep of the disk once nobody reads from it."""
READERS: Final = 4
"""Threads that read for whoever waits: senders, pages."""
JOBS: Final = 2
"""Threads that read for work nobody waits for, whose statements may be long."""
CONNECTIONS: Final = 1 + READERS + JOBS
"""Of a process at most: one writes. Each is opened when it is first needed, and stays."""
_BUSY_SECONDS: Final = 0.01
_KEPT_STATEMENTS: Final = 256
"""Of a connection to SQLite, as they were planned: more than the INSERTs of each size of the hot path (`many_rows`)."""
_SESSION: Final = {
    # A gateway that froze in the middle of a transaction must not hold its lanes for ever.
    "idle_in_transaction_session_timeout": 60_000,
    "synchronous_commit": "on",
    "timezone": "UTC",
    # What is read behind a key is what was committed last, and bytes within JSON are hexadecimal (`many_rows`).
    "default_transaction_isolation": r"read\ committed",
    "bytea_output": "hex",
}
_CONNECTION: Final = {
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within a minute, not after the two hours of TCP's own default.
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 50_000,
}
"""What an address may set otherwise: libpq's parameters, PostgreSQL 34.1.2."""


def open_engine(url: str, *, answer_seconds: float | None = None) -> Engine:
    """An engine for `sqlite:///file` or `postgresql://...`. Does not connect yet. Raises `ConfigError`.

    `answer_seconds`: how long a statement, or a lock for it, is waited for; None: a statement may take any time.
    """
    parsed = _parsed(url)
    # A lock that others hold is named as such before the connection counts as one that hangs.
    lock_ms = LOCK_TIMEOUT_MS if answer_seconds is None else min(LOCK_TIMEOUT_MS, round(answer_seconds * 1000 * 2 / 3))
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, lock_ms)
    return _postgresql(parsed, lock_ms, answer_seconds)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite address, None for any other database. Raises `ConfigError`."""
    parsed = _parsed(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # The error quotes the address, and the address holds a password.
        raise ConfigError(["database.url: is not an address such as postgresql://USER:PASSWORD@HOST/NAME"]) from None


def _configure_sqlite(connection: sqlite3.Connection, lock_ms: int) -> None:
    # The driver's own transaction handling would hide savepoints; we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    _write_ahead(cursor, lock_ms)
    # What is deleted or replaced is overwritten: nothing of it stays in free places of the file.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-16384", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    # A log that grew while a reader held its snapshot is cut back when it begins anew, and not kept at its longest.
    cursor.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor, lock_ms: int) -> None:
    """Keep a write-ahead log. Of two processes that turn a new file to it at one moment, SQLite refuses one at once,
    whatever time it was given to wait for a lock."""
    until = time.monotonic() + lock_ms / 1000
    while True:
        try:
            if not cursor.execute("PRAGMA page_count").fetchone()[0]:
                # A new file: its free pages can be given back beside the work. Of any other this would take a lock.
                cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_BUSY_SECONDS)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: a read that later turned into a write could only fail. So a reader may not
    # write at all.
    reading = connection.get_execution_options().get("reading", False)
    if connection.info.get("reading", False) != reading:
        call_at_once(connection, f"PRAGMA query_only={int(reading)}")
        connection.info["reading"] = reading
    call_at_once(connection, "BEGIN" if reading else "BEGIN IMMEDIATE")


def _sqlite(url: URL, lock_ms: int) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ConfigError(["database.url: an in-memory SQLite would forget orders it has acknowledged; name a file"])
    path = Path(str(url.database))
    if not path.parent.is_dir():
        raise ConfigError([f"database.url: the folder {path.parent} does not exist"])
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": lock_ms / 1000, "check_same_thread": False, "cached_statements": _KEPT_STATEMENTS},
    )

    event.listen(engine, "connect", lambda connection, _record: _configure_sqlite(connection, lock_ms))
    event.listen(engine, "begin", _begin_sqlite)
    _create_private(path)
    # Sorting and rewriting may need a file: beside the database, not in a folder of the system.
    os.environ.setdefault("SQLITE_TMPDIR", str(path.absolute().parent))
    return engine


def _create_private(path: Path) -> None:
    """The file holds patients' data: only its owner may read it, from the first byte on."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError([f"database.url: {path} cannot be opened ({error.strerror})"]) from error


def _postgresql(url: URL, lock_ms: int, answer_seconds: float | None) -> Engine:
    try:
        from gateway.store.postgres_connection import Connecting
    except ImportError as error:
        raise ConfigError(
            ["database.url: PostgreSQL needs the extra: pip install 'imaging-gateway[postgres]'"]
        ) from error
    given = url.query.get("options", "")
    options = [given] if isinstance(given, str) else list(given)
    settings = {**_SESSION, "lock_timeout": lock_ms, "statement_timeout": statement_ms(answer_seconds)}
    options += [f"-c {name}={value}" for name, value in settings.items()]
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        pool_pre_ping=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
        # A type that no column has: to look for it takes the first connection as long as all else.
        use_native_hstore=False,
        connect_args={name: value for name, value in _CONNECTION.items() if name not in url.query},
    )
    Connecting(" ".join(options).strip(), answer_seconds).begin(engine)
    return engine


def begin_reading(connection: Connection) -> Connection:
    """Let `connection` see one snapshot of what is committed, and change nothing."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return connection.execution_options(reading=True)


def lock(connection: Connection, *keys: str) -> None:
    """As `lock_all`."""
    lock_all(connection, keys)


def lock_all(connection: Connection, keys: Iterable[str]) -> None:
    """Hold `keys` until the transaction ends, so that nobody else inserts or changes rows under them.

    In PostgreSQL ids are given before the commit: without the lock a row with a higher id could become visible
    first, and a lane would run out of order. How a transaction waits for them: `gateway.store.keys`. SQLite has one
    writer at a time and needs nothing: there, keys that are made as they are asked for are not made. Raises
    `Contended`.
    """
    if connection.dialect.name != "postgresql":
        return
    held = keys_of(connection)
    if held is None:
        wait_for(connection, set(keys))
    else:
        held.take(connection, keys)
