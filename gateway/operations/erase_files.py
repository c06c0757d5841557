"""Whether bytes of an erased patient are left in the files: free places, write-ahead log, temporary folders."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from gateway.records.erasure import Targets
from gateway.store import Store, free_space
from gateway.store.searching import Needles

CHUNK: Final = 4 * 1024 * 1024
OVERLAP: Final = 512
"""Bytes of a chunk that are read with the next again: a value may stand across its end."""
PAGES: Final = 2_000


async def places_left(store: Store, targets: Targets, file: Path | None, folders: tuple[Path, ...]) -> dict[str, int]:
    """File -> places where a number or name of the patient stands that no row accounts for. Files without are named
    with 0. Of PostgreSQL no file is read; its dead rows are removed by VACUUM.

    The write-ahead log is emptied first. Raises `Unavailable`.
    """
    needles = Needles((*targets.needles, *targets.names))
    places: dict[str, int] = {}
    if file is None:
        await asyncio.to_thread(_vacuum, store)
    else:
        space = await store.read_long(free_space.measured)
        while space is not None and space.can_shrink and bool(await store.write(_give_back)):
            pass
        places |= await asyncio.to_thread(_of_database, file, needles)
    for folder in folders:
        places |= await asyncio.to_thread(_of_folder, folder, needles)
    return places


def _give_back(connection: Connection) -> int:
    return free_space.give_back(connection, PAGES)


def _vacuum(store: Store) -> None:
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")


def _of_database(file: Path, needles: Needles) -> dict[str, int]:
    for copy in file.absolute().parent.glob(f".{file.name}.*.rows*"):  # of a run that was killed
        copy.unlink(missing_ok=True)
    emptied = free_space.truncate_log(file)
    places = {str(one): _places(one, needles) for one in _parts(file) if one.exists()}
    if any(places.values()) and (live := _of_rows(file, needles)):
        # What rows that are kept hold, such as the audit trail, stands in the file as well; and in a log that was begun
        # after the erasure, of pages that others have written since.
        places = {name: 0 if emptied and name != str(file) else number for name, number in places.items()}
        places[str(file)] = max(0, places[str(file)] - live)
    return places


def _parts(file: Path) -> Iterator[Path]:
    yield file
    yield from (file.with_name(f"{file.name}{end}") for end in ("-wal", "-shm", "-journal"))


def _of_rows(file: Path, needles: Needles) -> int:
    """Places in a copy of the rows that are there: a copy has no free places."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".rows", dir=file.absolute().parent)
    os.close(handle)
    copy = Path(name)
    try:
        with closing(sqlite3.connect(file, timeout=10.0)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return _places(copy, needles)
    finally:
        for one in _parts(copy):
            one.unlink(missing_ok=True)


def _of_folder(folder: Path, needles: Needles) -> dict[str, int]:
    files = [one for one in folder.iterdir() if one.is_file()] if folder.is_dir() else []
    return {str(one): _places(one, needles) for one in files}


def _places(file: Path, needles: Needles) -> int:
    """Also those across the end of a chunk; those within two chunks are counted once."""
    number, before = 0, b""
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            data = before + chunk
            number += needles.places(data) - (needles.places(before) if before else 0)
            before = data[-OVERLAP:]
    return number
