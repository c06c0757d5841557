"""A copy of an SQLite database that serves: one snapshot, whole, checked before the copy gets its name."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError, Unavailable

Progress = Callable[[int, int], None]
"""Bytes of the copy so far, bytes of the database."""

WAIT_SECONDS: Final = 10.0
"""For a lock of another process on the database."""
STEPS_BETWEEN_REPORTS: Final = 1_000_000
"""Instructions of SQLite's machine: some reports for each second of copying."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was checked."""

    path: Path
    bytes: int
    schema: str
    """Version of the tables, as `gateway db upgrade` names it."""


def back_up(database: Path, target: Path, *, on_progress: Progress = lambda done, whole: None) -> Backup:
    """Copy the SQLite file `database` to the new file `target`, which others of this machine may not read.

    The copy is what was committed when it began: writers go on meanwhile, and however much they write does not prolong
    the copy. `target` is there whole or not at all. Raises `ConfigError` for a target that cannot be, `Unavailable`
    when the database or the disk fails.
    """
    folder = target.absolute().parent
    if not folder.is_dir():
        raise ConfigError([f"{folder} is no folder; make it, or name another place for the backup"])
    if target.exists():
        raise ConfigError([f"{target} exists; a backup never overwrites a file, name another"])
    partial = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=folder)
        os.close(handle)
        partial = Path(name)
        _copy(database, partial, on_progress)
        schema = _checked(partial)
        _sync(partial)
        _name(partial, target)
    except FileExistsError as error:
        raise ConfigError([f"{error.filename2 or error.filename} exists; name another file"]) from error
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(
            f"the backup to {target} failed, and nothing of it is left: {error}", place="backup"
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
            partial.with_name(f"{partial.name}-journal").unlink(missing_ok=True)
    # The copy has its name, whether or not this file system can sync a folder.
    with suppress(OSError):
        _sync(folder)
    return Backup(target, target.stat().st_size, schema)


def _copy(database: Path, partial: Path, on_progress: Progress) -> None:
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=WAIT_SECONDS)) as source:
        [whole] = source.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()
        if shutil.disk_usage(partial.parent).free < whole:
            raise OSError(f"{partial.parent} has less than the {whole:,} bytes free that the database has")

        def report() -> int:
            on_progress(partial.stat().st_size, whole)
            return 0

        source.set_progress_handler(report, STEPS_BETWEEN_REPORTS)
        # One read transaction: the snapshot of its first moment. SQLite's backup interface would begin anew with each
        # commit of another process, and never end while orders come.
        source.execute("VACUUM INTO ?", (str(partial),))


def _checked(copy: Path) -> str:
    """The schema version of a copy whose pages, indexes and references are sound. Raises `sqlite3.DatabaseError`."""
    with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        # So that a signal is handled within the check, which may take minutes.
        connection.set_progress_handler(lambda: 0, STEPS_BETWEEN_REPORTS)
        faults = [text for (text,) in connection.execute("PRAGMA integrity_check(3)") if text != "ok"]
        faults += [f"a reference of {row[0]} leads nowhere" for row in connection.execute("PRAGMA foreign_key_check")][
            :3
        ]
        if faults:
            raise sqlite3.DatabaseError(f"the copy is not sound: {'; '.join(faults)}")
        [schema] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(schema)


def _name(partial: Path, target: Path) -> None:
    """Give the copy its name. Raises `FileExistsError` when a file of that name has come meanwhile."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:
        # Network shares and memory sticks know no second name of a file; a rename would replace whatever is there.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        partial.replace(target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
