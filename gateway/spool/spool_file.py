"""One file of the spool while it is written: an instance in the DICOM File Format, with its data set as it came."""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import TYPE_CHECKING

from gateway.records.pixel_file import StoredFile
from gateway.spool.disk import no_disk

if TYPE_CHECKING:
    from gateway.spool.spool import Spool


class SpoolFile:
    """`write` the data set piece by piece, `sync` it, then `keep` it; `close` removes what was not kept. All block."""

    def __init__(self, spool: Spool, name: str, begins_at: int) -> None:
        self._spool = spool
        self.name = name
        self.begins_at = begins_at
        """Offset of the data set."""
        self._size = begins_at
        self._sha256 = hashlib.sha256()
        self._is_kept = False
        path = spool.path_of(name)
        self.folder = path.parent
        self._path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def begin(self, meta: bytes) -> None:
        """File Meta Information, which is no part of the checksum. Raises `OSError`."""
        try:
            self._write(meta)
        except OSError:
            os.close(self._handle)
            self._handle = -1
            self._path.unlink(missing_ok=True)
            raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the data set. Raises `Unavailable` where there is no room for it, or the disk fails."""
        self._spool.take(len(data))
        self._size += len(data)
        try:
            self._write(data)
        except OSError as error:
            raise no_disk(error) from error
        self._sha256.update(data)

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]

    def view(self) -> mmap.mmap:
        """The whole file as it is now; the data set begins at `begins_at`. Raises `OSError`."""
        return mmap.mmap(self._handle, 0, access=mmap.ACCESS_READ)

    def sync(self) -> None:
        """Bring the content to disk, not yet the name. Raises `OSError`."""
        os.fsync(self._handle)

    @property
    def stored(self) -> StoredFile:
        """What a row says of the file."""
        return StoredFile(self.name, self._size, self._sha256.digest())

    def keep(self) -> None:
        """The file has a row, or may have: it stays."""
        self._is_kept = True
        self._spool.kept()

    def close(self) -> None:
        """Let go of the file; remove it if it was not kept."""
        if self._handle == -1:
            return
        os.close(self._handle)
        self._handle = -1
        if not self._is_kept:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:  # removed when the spool is looked through
                return
            self._spool.discarded(self._size)
