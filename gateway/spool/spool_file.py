"""One file of the spool while it is written: an instance in the DICOM File Format, with its data set as it came."""

from __future__ import annotations

import hashlib
import mmap
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gateway.records.pixel_file import StoredFile
from gateway.spool.disk import no_disk

if TYPE_CHECKING:
    from gateway.spool.spool import Spool


_CLOSED: Final = -1


class SpoolFile:
    """`write` the data set piece by piece, `sync` it, then `keep` it; `close` removes what was not kept.

    Made by `Spool.begin`, with preamble and File Meta Information `meta`, for which room was taken. Raises `OSError`.
    """

    def __init__(self, spool: Spool, name: str, meta: bytes) -> None:
        self._spool = spool
        self.name = name
        self.begins_at = len(meta)
        """Offset of the data set."""
        self._size = len(meta)
        self._sha256 = hashlib.sha256()
        self._is_kept = self._is_closed = False
        self._path = spool.path_of(name)
        self.folder = self._path.parent
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._write(meta)
        except OSError:
            os.close(self._handle)
            self._path.unlink(missing_ok=True)
            raise

    def write(self, data: bytes | bytearray | mmap.mmap) -> None:
        """Add to the data set. Raises `Unavailable` where there is no room for it, or the disk fails. Blocks."""
        self._spool.take(len(data))
        self._size += len(data)
        try:
            self._write(data)
        except OSError as error:
            raise no_disk(error) from error
        self._sha256.update(data)

    def _write(self, data: bytes | bytearray | mmap.mmap) -> None:
        with memoryview(data) as rest:
            at = 0
            while at < len(rest):
                at += os.write(self._handle, rest[at:])

    def view(self) -> mmap.mmap:
        """The whole file as it is now; the data set begins at `begins_at`. Raises `OSError`."""
        return mmap.mmap(self._handle, 0, access=mmap.ACCESS_READ)

    def sync(self) -> None:
        """Bring the content, which is whole, to disk, not yet the name. Raises `OSError`. Blocks."""
        os.fsync(self._handle)
        handle, self._handle = self._handle, _CLOSED
        os.close(handle)

    @property
    def stored(self) -> StoredFile:
        """What a row says of the file."""
        return StoredFile(self.name, self._size, self._sha256.digest())

    def keep(self) -> None:
        """The file has a row, or may have: it stays."""
        self._is_kept = True
        self._spool.kept(self._size)

    def give_up(self) -> None:
        """The file has no row after all."""
        self._is_kept = False
        self._spool.unkept(self._size)

    def close(self) -> None:
        """Let go of the file soon; remove it if it was not kept. Does not block."""
        if not self._is_closed:
            self._is_closed = True
            if not self._is_kept or self._handle != _CLOSED:
                self._spool.beside(self._end)

    def _end(self) -> None:
        if self._handle != _CLOSED:
            with suppress(OSError):  # of a disk on the network, which the sync has shown as well
                os.close(self._handle)
        if self._is_kept:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError:  # removed when the spool is looked through
            return
        self._spool.discarded(self._size)
