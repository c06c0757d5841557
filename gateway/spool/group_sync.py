"""Files brought to disk together: one thread, for all that wait one pass over their contents and then over the folders
of their names."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gateway.errors import Unavailable
from gateway.spool.disk import no_disk, sync_folder
from gateway.spool.spool import Spool
from gateway.spool.spool_file import SpoolFile

log = logging.getLogger(__name__)

MAX_GROUP: Final = 256


class _Job(NamedTuple):
    file: SpoolFile
    future: asyncio.Future[None]


class GroupSync:
    """Made inside the running loop, for the files of a spool; `close` it when done."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spool-sync", daemon=True)
        self._thread.start()
        spool.beside = self._queue.put

    async def sync(self, file: SpoolFile) -> None:
        """Return once the file survives a power cut, with its name. Raises `Unavailable` where that is not sure."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Job(file, future))
        await future

    async def close(self) -> None:
        """Finish what was given, then end the thread."""
        self._spool.beside = lambda action: action()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            jobs, actions, going = self._collect()
            failures = _synced([job.file for job in jobs])
            if jobs:
                self._loop.call_soon_threadsafe(_settle, jobs, failures)
            for action in actions:
                try:
                    action()
                except Exception:
                    # All who store wait for this thread: it does not end before it is closed.
                    log.exception("a file of the spool was not closed")

    def _collect(self) -> tuple[list[_Job], list[Callable[[], None]], bool]:
        """What waits, at least one; False once the last has been given."""
        jobs, actions = list[_Job](), list[Callable[[], None]]()
        given = self._queue.get()
        while given is not None:
            if isinstance(given, _Job):
                jobs.append(given)
            else:
                actions.append(given)
            if len(jobs) == MAX_GROUP:
                return jobs, actions, True
            try:
                given = self._queue.get_nowait()
            except queue.Empty:
                return jobs, actions, True
        return jobs, actions, False


def _synced(files: Sequence[SpoolFile]) -> list[Unavailable | None]:
    """What keeps each file from being on disk."""
    failures: list[Unavailable | None] = []
    for file in files:
        failures.append(_failure(file.sync))
    folders = {file.folder for file in files}
    of_folders = {folder: _failure(lambda folder=folder: sync_folder(folder)) for folder in folders}  # type: ignore[misc]
    return [failure or of_folders[file.folder] for file, failure in zip(files, failures, strict=True)]


def _failure(action: Callable[[], None]) -> Unavailable | None:
    try:
        action()
    except OSError as error:
        return no_disk(error)
    return None


def _settle(jobs: Sequence[_Job], failures: Sequence[Unavailable | None]) -> None:
    for job, failure in zip(jobs, failures, strict=True):
        if job.future.done():
            continue
        if failure is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(failure)
