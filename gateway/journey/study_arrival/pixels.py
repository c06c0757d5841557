"""Keeps an instance with its pixels: its file is on disk before its row is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection

from gateway.errors import InDoubt, Unavailable
from gateway.journey.study_arrival.incoming import Incoming
from gateway.records.arrival import InstanceArrival
from gateway.records.pixel_file import StoredFile
from gateway.spool import GroupSync, Spool, SpoolFile

NewFile = Callable[[Connection, InstanceArrival, int], None]
"""Does what follows when an instance (its row) has a new file, in the same transaction."""


class PixelKeeping:
    """`on_new_file`: what follows from each file that is new."""

    def __init__(self, spool: Spool, syncing: GroupSync, on_new_file: NewFile = lambda *_new: None) -> None:
        self.spool = spool
        self._syncing = syncing
        self.on_new_file = on_new_file

    @asynccontextmanager
    async def arriving(self, incoming: Incoming) -> AsyncIterator[Callable[[], Awaitable[StoredFile]]]:
        """Bring an instance to disk while the caller reads its header; what is given waits for the file, and keeps it.

        Removed where it was not waited for, or where there is no row; where that is not sure, such as after a database
        that did not answer, the file stays until the spool is looked through. Who waits gets `Unavailable` where there
        is no room, or the disk fails.
        """
        writing = asyncio.ensure_future(self._on_disk(incoming))
        kept = list[SpoolFile]()

        async def stored() -> StoredFile:
            file = await asyncio.shield(writing)
            file.keep()
            kept.append(file)
            return file.stored

        try:
            yield stored
        except Exception as error:
            if kept and not isinstance(error, InDoubt):
                kept[0].give_up()
            raise
        finally:
            writing.add_done_callback(_close)

    async def _on_disk(self, incoming: Incoming) -> SpoolFile:
        held = incoming.file
        file = held if held is not None else await asyncio.to_thread(self._written, incoming)
        try:
            await self._syncing.sync(file)
        except Unavailable:
            file.close()
            raise
        return file

    def _written(self, incoming: Incoming) -> SpoolFile:
        file = self.spool.begin(incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid)
        try:
            file.write(incoming.data)
        except BaseException:
            file.close()
            raise
        return file


def _close(writing: asyncio.Future[SpoolFile]) -> None:
    if not writing.cancelled() and writing.exception() is None:
        writing.result().close()
