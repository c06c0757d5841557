"""The folder of the spool: names, room and counts. All methods block, and may be called of any thread."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from gateway.errors import ConfigError, Unavailable
from gateway.observe import metrics
from gateway.spool.disk import free_bytes, no_disk, sync_folder
from gateway.spool.part10 import file_meta
from gateway.spool.spool_file import SpoolFile

log = logging.getLogger(__name__)

FILES_OF_FOLDER: Final = 512
"""Files that come one after another share a folder: who brings their names to disk has one folder to bring."""
END: Final = ".dcm"
_FOLDER_MODE: Final = 0o700
_HEX: Final = frozenset("0123456789abcdef")


class Use(NamedTuple):
    """What the spool takes of its disk."""

    files: int
    bytes: int
    quota_bytes: int | None
    disk_free_bytes: int
    free_bytes: int
    """Which are to be left free."""

    @property
    def room_bytes(self) -> int:
        """So many bytes may come; 0: instances are refused."""
        by_disk = self.disk_free_bytes - self.free_bytes
        by_quota = by_disk if self.quota_bytes is None else self.quota_bytes - self.bytes
        return max(0, min(by_disk, by_quota))


class Spool:
    """Files of Part 10 in two levels of folders. `quota_bytes` bounds their sum (None: only the disk does),
    `free_bytes` of the disk are left free. `count` first: what is there is counted by its rows."""

    def __init__(
        self, folder: Path, quota_bytes: int | None, free_bytes: int, *, implementation_uid: str, version_name: str
    ) -> None:
        self.folder = folder
        self._quota = quota_bytes
        self._free = free_bytes
        self._implementation = implementation_uid, version_name
        self._lock = threading.Lock()
        self._files = 0
        self._bytes = 0
        self._current = ""
        """The folder of new files, and how many more it gets."""
        self._left = 0

    def prepare(self) -> None:
        """Make the folder where there is none. Raises `ConfigError` where nothing can be written."""
        try:
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            probe = self.folder / f".{secrets.token_hex(8)}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError([f"studies.spool.folder: {self.folder} cannot be written ({reason})"]) from error

    def path_of(self, file: str) -> Path:
        """The path of a file by its name in the spool."""
        return self.folder / file

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> SpoolFile:
        """A new file with its File Meta Information. Raises `Unavailable` where there is no room."""
        meta = file_meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid, *self._implementation)
        self.take(len(meta))
        try:
            file = SpoolFile(self, self._new_name(), len(meta))
            file.begin(meta)
        except OSError as error:
            self._give(len(meta))
            raise no_disk(error) from error
        return file

    def _new_name(self) -> str:
        with self._lock:
            if not self._left or not self._current:
                name = secrets.token_hex(3)
                self._current = f"{name[:2]}/{name[2:]}"
                self._make(self.folder / self._current)
                self._left = FILES_OF_FOLDER
            self._left -= 1
            return f"{self._current}/{secrets.token_hex(12)}{END}"

    def _make(self, folder: Path) -> None:
        """A folder whose name is on disk."""
        for one in (folder.parent, folder):
            with suppress(FileExistsError):
                one.mkdir(mode=_FOLDER_MODE)
                sync_folder(one.parent)

    def take(self, size: int) -> None:
        """Count bytes that are about to be written. Raises `Unavailable` where there is no room for them."""
        try:
            free = free_bytes(self.folder)
        except OSError as error:
            raise no_disk(error) from error
        with self._lock:
            if self._quota is not None and self._bytes + size > self._quota:
                raise _full("the spool has reached its quota (studies.spool.quota_gb)")
            if free - size < self._free:
                raise _full("the disk of the spool has no more free space than it is to keep (studies.spool.free_gb)")
            self._bytes += size
            self._show()

    def _give(self, size: int) -> None:
        with self._lock:
            self._bytes -= size
            self._show()

    def kept(self) -> None:
        """One more file is there to stay; its bytes are counted."""
        with self._lock:
            self._files += 1
            self._show()

    def discarded(self, size: int) -> None:
        """A file that was not kept is gone."""
        self._give(size)

    def count(self, files: int, size: int) -> None:
        """What is there by its rows, beside what is being written."""
        with self._lock:
            self._files, self._bytes = files, size
            self._show()

    def delete(self, file: str, size: int) -> None:
        """Remove a file that no instance has any more. Raises `Unavailable`."""
        try:
            self.path_of(file).unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise no_disk(error) from error
        with self._lock:
            self._files, self._bytes = max(0, self._files - 1), max(0, self._bytes - size)
            self._show()

    def use(self) -> Use:
        """What the spool takes, and what may still come. Raises `Unavailable`."""
        try:
            free = free_bytes(self.folder)
        except OSError as error:
            raise no_disk(error) from error
        with self._lock:
            return Use(self._files, self._bytes, self._quota, free, self._free)

    def _show(self) -> None:
        metrics.SPOOL_FILES.set(self._files)
        metrics.SPOOL_BYTES.set(self._bytes)

    def folders(self) -> Iterator[str]:
        """The folders that files are in, by their names in the spool, in order."""
        for first in sorted(_folders(self.folder)):
            for second in sorted(_folders(self.folder / first)):
                yield f"{first}/{second}"


def _folders(folder: Path) -> list[str]:
    """Of the spool's own making; what else lies there is left alone."""
    return [one.name for one in os.scandir(folder) if _HEX.issuperset(one.name) and one.is_dir(follow_symlinks=False)]


def _full(reason: str) -> Unavailable:
    log.warning("instances are refused with A700: %s", reason)
    return Unavailable(reason, place="spool")
