"""Keeps the spool in step with its rows: counts, deletes what was released, and joins files and rows after a crash."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import ConfigError, Unavailable
from gateway.spool import FoundFile, Spool, no_disk
from gateway.store import Store, pixel_files

log = logging.getLogger(__name__)

SLICE: Final = 200
"""Files or rows that are looked at, or deleted, at a time."""
SHARE: Final = 0.5
"""Of the time, while the spool is looked through."""
DELETE_SECONDS: Final = 2.0
COUNT_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 24 * 3600.0
IN_DOUBT_SECONDS: Final = 3600.0
"""So old a file gets no row any more, whoever wrote it; of a file that was there before the process began this is
known at once where one process alone writes."""


NOT_MOUNTED: Final = (
    "studies.spool.folder: {folder} is empty, and {files:,} instances have their files in the spool: is its disk "
    "mounted? If they are lost, make a folder '00' in it; the instances are then named as lost"
)


class Looking(NamedTuple):
    """How far the look through the spool is, or what the last one found."""

    is_done: bool = False
    files: int = 0
    """Looked at."""
    rows: int = 0
    removed: int = 0
    """Files without a row."""
    foreign: int = 0
    """Files without a row that are older than all rows: of another database, it seems, and left alone."""
    missing: int = 0
    """Rows whose file is not there, noted by this look."""


class SpoolKeeping:
    """`begin` before anything arrives, then `run`, which never ends. `is_alone`: no other process writes files."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        clock: Clock,
        *,
        is_alone: bool,
        delete_seconds: float = DELETE_SECONDS,
    ) -> None:
        self._store = store
        self.spool = spool
        self._clock = clock
        self._delete_seconds = delete_seconds
        self._in_doubt = 0.0 if is_alone else IN_DOUBT_SECONDS
        self.looking = Looking()
        self._before = 0.0

    async def begin(self) -> None:
        """Make the folder, and count what is there by its rows. Raises `ConfigError`, also where the folder is not that
        of the rows, or `Unavailable`."""
        await asyncio.to_thread(self.spool.prepare)
        self._before = await self._disk_time() - self._in_doubt
        total = await self._count()
        rows = await self._store.read(partial(pixel_files.page, after=0, limit=SLICE))
        if any(not row.is_missing for row in rows) and not await asyncio.to_thread(self.spool.has_folders):
            raise ConfigError([NOT_MOUNTED.format(folder=self.spool.folder, files=total.files)])

    async def _disk_time(self) -> float:
        try:
            return await asyncio.to_thread(self.spool.disk_time)
        except OSError as error:
            raise no_disk(error) from error

    async def _count(self) -> pixel_files.Total:
        total = await self._store.read(pixel_files.total)
        self.spool.count(*total)
        return total

    async def run(self) -> None:
        """Look through the spool, delete what is released, look again each day. Raises `Unavailable`."""
        await self.look(self._before)
        looked_at = counted_at = time.monotonic()
        while True:
            await delete_released(self._store, self.spool)
            if time.monotonic() - counted_at >= COUNT_SECONDS:
                counted_at = time.monotonic()
                await self._count()
            if time.monotonic() - looked_at >= LOOK_SECONDS:
                looked_at = time.monotonic()
                self._before = await self._disk_time() - IN_DOUBT_SECONDS
                await self.look(self._before)
            await asyncio.sleep(self._delete_seconds)

    async def look(self, before: float) -> None:
        """Join files and rows: a file without a row is removed if it is older than `before` (as of `disk_time`), a row
        without its file is noted. Raises `Unavailable`.

        A file that is older than the first row may be of another database, such as after a wrong `database.url`.
        """
        self.looking = Looking()
        first = await self._store.read(pixel_files.first_stored_at)
        since = float("inf") if first is None else first / 1_000_000
        await self._look_at_rows()
        try:
            for folder in await asyncio.to_thread(lambda: list(self.spool.folders())):
                files = await asyncio.to_thread(self.spool.files_before, folder, before)
                for at in range(0, len(files), SLICE):
                    await self._look_at_files(files[at : at + SLICE], since)
                await asyncio.to_thread(self.spool.tidy, folder, before)
        except OSError as error:
            raise no_disk(error) from error
        self.looking = self.looking._replace(is_done=True)
        self._report(self.looking)

    def _report(self, done: Looking) -> None:
        if done.removed:
            log.warning(
                "removed %d files of the spool that no instance has: the gateway had ended amid them", done.removed
            )
        if done.foreign:
            log.error(
                "%d files in %s have no instance and are older than all of this database: they are left alone; "
                "is it their database? What is no longer wanted is for a person to delete",
                done.foreign, self.spool.folder,
            )  # fmt: skip
        if done.missing:
            log.error("%d instances have lost their file in %s: send them again", done.missing, self.spool.folder)

    async def _look_at_files(self, files: list[FoundFile], since: float) -> None:
        begun = time.perf_counter()
        names = [one.name for one in files]
        with_rows = await self._store.read(partial(pixel_files.with_rows, files=names))
        without = [one for one in files if one.name not in with_rows]
        orphans = [(one.name, one.size) for one in without if one.changed_at >= since]
        await asyncio.to_thread(_delete, self.spool, orphans, are_counted=False)
        so_far = self.looking
        self.looking = so_far._replace(
            files=so_far.files + len(files), removed=so_far.removed + len(orphans),
            foreign=so_far.foreign + len(without) - len(orphans),
        )  # fmt: skip
        await _pause(begun)

    async def _look_at_rows(self) -> None:
        after = 0
        while True:
            begun = time.perf_counter()
            rows = await self._store.read(partial(pixel_files.page, after=after, limit=SLICE))
            if not rows:
                return
            after = rows[-1].id
            names = [row.file for row in rows]
            absent = set(await asyncio.to_thread(self.spool.without_file, names))
            await self._note(
                [row for row in rows if not row.is_missing and row.file in absent],
                [row for row in rows if row.is_missing and row.file not in absent],
            )
            self.looking = self.looking._replace(rows=self.looking.rows + len(rows))
            await _pause(begun)

    async def _note(self, lost: list[pixel_files.Listed], back: list[pixel_files.Listed]) -> None:
        if not lost and not back:
            return

        def note(connection: Connection) -> int:
            pixel_files.mark_missing(connection, back, None)
            return pixel_files.mark_missing(connection, lost, self._clock())

        number = await self._store.write(note)
        self.looking = self.looking._replace(missing=self.looking.missing + number)


async def delete_released(store: Store, spool: Spool) -> int:
    """Delete the files that no instance has any more; returns how many. Raises `Unavailable`."""
    number = 0
    while released := await store.read(partial(pixel_files.released, limit=SLICE)):
        files = [(one.file, one.size) for one in released]
        await asyncio.to_thread(_delete, spool, files, are_counted=True)
        await store.write(partial(pixel_files.forget_released, ids=[one.id for one in released]))
        number += len(released)
    return number


def _delete(spool: Spool, files: list[tuple[str, int]], *, are_counted: bool) -> None:
    for name, size in files:
        try:
            spool.delete(name, size if are_counted else 0)
        except Unavailable as error:
            log.error("a file of the spool cannot be deleted: %s", error.message)
            raise


async def _pause(begun: float) -> None:
    await asyncio.sleep((time.perf_counter() - begun) * (1 / SHARE - 1))
