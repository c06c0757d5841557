"""Keeps an instance with its pixels: its file is on disk before its row is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection

from gateway.errors import GatewayError, Unavailable
from gateway.records.arrival import InstanceArrival
from gateway.records.pixel_file import StoredFile
from gateway.spool import GroupSync, Spool, SpoolFile
from gateway.wire.dimse import StoreRequest

NewFile = Callable[[Connection, InstanceArrival, int], None]
"""Does what follows when an instance (its row) has a new file, in the same transaction."""


class PixelKeeping:
    """`on_new_file`: what follows from each file that is new."""

    def __init__(self, spool: Spool, syncing: GroupSync, on_new_file: NewFile = lambda *_new: None) -> None:
        self.spool = spool
        self._syncing = syncing
        self.on_new_file = on_new_file

    @asynccontextmanager
    async def kept(self, request: StoreRequest) -> AsyncIterator[StoredFile]:
        """The file of an instance, on disk. Removed where the row is refused; where nothing is known of the row, such
        as after a database that did not answer, the file stays until the spool is looked through.

        Raises `Unavailable` where there is no room, or the disk fails.
        """
        file = await self._written(request)
        try:
            await self._syncing.sync(file)
            file.keep()
            try:
                yield file.stored
            except GatewayError as error:
                if not isinstance(error, Unavailable):
                    file.give_up()
                raise
        finally:
            file.close()

    async def _written(self, request: StoreRequest) -> SpoolFile:
        if isinstance(request.file, SpoolFile):
            return request.file
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, request))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(_close)
            raise

    def _write(self, request: StoreRequest) -> SpoolFile:
        file = self.spool.begin(request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax_uid)
        try:
            file.write(request.data)
        except BaseException:
            file.close()
            raise
        return file


def _close(writing: asyncio.Future[SpoolFile]) -> None:
    if not writing.cancelled() and writing.exception() is None:
        writing.result().close()
