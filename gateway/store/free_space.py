"""Space of an SQLite file that nothing needs any more, and giving it back to the disk.

A file made by this program can be shortened step by step (`auto_vacuum`), beside the work. An older file reuses its
free pages and keeps its length until `compact` has rewritten it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from gateway.store.statement import execute

PAGES_AT_ONCE: Final = 64
_INCREMENTAL: Final = 2
STEPS_BETWEEN_REPORTS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Of an SQLite file."""

    bytes: int
    """Of the whole file."""
    free_bytes: int
    """Of pages that hold nothing."""
    can_shrink: bool
    """It can be shortened beside the work."""


def measured(connection: Connection) -> FreeSpace | None:
    """How large the file is and how much of it is free; None for PostgreSQL, which gives space back by itself."""
    if connection.dialect.name != "sqlite":
        return None
    values = [
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
        for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    ]
    page, pages, free, mode = values
    return FreeSpace(page * pages, page * free, mode == _INCREMENTAL)


def give_back(connection: Connection, pages: int) -> int:
    """Shorten the file by at most `pages`; how many free pages are left."""
    for _ in range(pages):
        # The driver takes one step, and so one page, of a statement that gives rows without columns.
        execute(connection, "PRAGMA incremental_vacuum(1)")
    return int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def truncate_log(file: Path, *, seconds: float = 10.0) -> bool:
    """Bring all of the write-ahead log into the file, and leave an empty log; False when somebody still reads from it
    after `seconds`. Raises `sqlite3.Error`."""
    with closing(sqlite3.connect(file, timeout=seconds)) as connection:
        [busy, _in_log, _done] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def compact(file: Path, on_progress: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Rewrite the file of a gateway that is stopped without its free space, so that it can be shortened beside the work
    from then on: (bytes before, bytes after). Needs as much free space as the file has. Raises `sqlite3.Error`."""
    before = file.stat().st_size

    def report() -> int:
        on_progress()
        return 0

    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        # In a write-ahead log the whole file would be written twice, and the old pages would stay in the file's end.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.set_progress_handler(report, STEPS_BETWEEN_REPORTS)
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, file.stat().st_size
