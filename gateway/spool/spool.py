"""The folder of the spool: names, room and counts. All methods block, and may be called of any thread."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
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
FOLDER_MODE: Final = 0o700
_HEX: Final = frozenset("0123456789abcdef")
NO_QUOTA_LEFT: Final = "the spool has reached its quota (studies.spool.quota_gb)"
NO_DISK_LEFT: Final = "the disk of the spool has no more free space than it is to keep (studies.spool.free_gb)"


class Use(NamedTuple):
    """What the spool takes of its disk."""

    files: int
    bytes: int
    """With those that are being written."""
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


class FoundFile(NamedTuple):
    """A file of the folder, whether it has a row or not."""

    name: str
    size: int
    changed_at: float
    """By the clock of the disk, seconds since 1970."""


class Spool:
    """Files of Part 10 in two levels of folders. `quota_bytes` bounds their sum (None: only the disk does),
    `free_bytes` of the disk are left free. What is there is counted by its rows: see `count`."""

    def __init__(
        self, folder: Path, quota_bytes: int | None, free_bytes: int, *, implementation_uid: str, version_name: str
    ) -> None:
        self.folder = folder
        self._quota = quota_bytes
        self._free = free_bytes
        self._implementation = implementation_uid, version_name
        self._lock = threading.Lock()
        self._files = self._bytes = 0
        self._writing_bytes = 0
        """Of files that are not kept yet."""
        self._current = ""
        """The folder of new files, and how many more it gets."""
        self._left = 0
        self.beside: Callable[[Callable[[], None]], None] = lambda action: action()
        """Does what whoever closes a file should not wait for."""

    def prepare(self) -> None:
        """Make the folder where there is none. Raises `ConfigError` where nothing can be written."""
        try:
            self.folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self.disk_time()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError([f"studies.spool.folder: {self.folder} cannot be written ({reason})"]) from error

    def disk_time(self) -> float:
        """Now, as the disk dates files: seconds since 1970, maybe by the clock of another machine. Raises `OSError`."""
        probe = self.folder / f".{secrets.token_hex(8)}"
        probe.touch(mode=0o600)
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()

    def path_of(self, file: str) -> Path:
        """The path of a file by its name in the spool."""
        return self.folder / file

    def begin(self, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> SpoolFile:
        """A new file with its File Meta Information. Raises `Unavailable` where there is no room, or the disk fails."""
        meta = file_meta(sop_class_uid, sop_instance_uid, transfer_syntax_uid, *self._implementation)
        self.take(len(meta))
        try:
            try:
                return SpoolFile(self, self._new_name(), meta)
            except FileNotFoundError:  # another process has removed the folder, which was empty
                self._left = 0
                return SpoolFile(self, self._new_name(), meta)
        except OSError as error:
            self.discarded(len(meta))
            raise no_disk(error) from error

    def _new_name(self) -> str:
        with self._lock:
            if not self._left:
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
                one.mkdir(mode=FOLDER_MODE)
                sync_folder(one.parent)

    def take(self, size: int) -> None:
        """Count bytes that are about to be written. Raises `Unavailable` where there is no room for them."""
        try:
            free = free_bytes(self.folder)
        except OSError as error:
            raise no_disk(error) from error
        with self._lock:
            if self._quota is not None and self._bytes + self._writing_bytes + size > self._quota:
                raise _full(NO_QUOTA_LEFT)
            if free - size < self._free:
                raise _full(NO_DISK_LEFT)
            self._writing_bytes += size
            self._show()

    def kept(self, size: int) -> None:
        """A file that was written is there to stay."""
        self._count(files=1, kept=size, writing=-size)

    def unkept(self, size: int) -> None:
        """A file that was kept is about to be discarded."""
        self._count(files=-1, kept=-size, writing=size)

    def discarded(self, size: int) -> None:
        """A file that was not kept is gone."""
        self._count(writing=-size)

    def count(self, files: int, size: int) -> None:
        """What is there by its rows."""
        with self._lock:
            self._files, self._bytes = files, size
            self._show()

    def _count(self, *, files: int = 0, kept: int = 0, writing: int = 0) -> None:
        with self._lock:
            self._files, self._bytes = max(0, self._files + files), max(0, self._bytes + kept)
            self._writing_bytes += writing
            self._show()

    def _show(self) -> None:
        metrics.SPOOL_FILES.set(self._files)
        metrics.SPOOL_BYTES.set(self._bytes + self._writing_bytes)

    def delete(self, file: str, size: int) -> None:
        """Remove a file that no instance has any more. Raises `Unavailable`."""
        try:
            self.path_of(file).unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise no_disk(error) from error
        self._count(files=-1, kept=-size)

    def use(self) -> Use:
        """What the spool takes, and what may still come. Raises `Unavailable`."""
        try:
            free = free_bytes(self.folder)
        except OSError as error:
            raise no_disk(error) from error
        with self._lock:
            return Use(self._files, self._bytes + self._writing_bytes, self._quota, free, self._free)

    def folders(self) -> Iterator[str]:
        """The folders that files are in, by their names in the spool, in order. Raises `OSError`."""
        for first in sorted(_folders(self.folder)):
            for second in sorted(_folders(self.folder / first)):
                yield f"{first}/{second}"

    def has_folders(self) -> bool:
        """Whether anything of the spool is in its folder."""
        return bool(_folders(self.folder))

    def files_before(self, folder: str, moment: float) -> list[FoundFile]:
        """The files of a folder that were changed before a moment of the disk's clock (seconds since 1970), whoever
        made them. Raises `OSError`."""
        found = []
        for one in os.scandir(self.folder / folder):
            with suppress(FileNotFoundError):  # another process deletes as well
                status = one.stat(follow_symlinks=False)
                if one.is_file(follow_symlinks=False) and status.st_mtime < moment:
                    found.append(FoundFile(f"{folder}/{one.name}", status.st_size, status.st_mtime))
        return found

    def tidy(self, folder: str, moment: float) -> None:
        """Remove a folder that is empty since before a moment, as of `files_before`."""
        path = self.folder / folder
        with suppress(OSError):  # it is not empty
            if folder != self._current and path.stat().st_mtime < moment:
                path.rmdir()

    def without_file(self, files: list[str]) -> list[str]:
        """Those of these files that are not there."""
        return [file for file in files if not self.path_of(file).exists()]


def _folders(folder: Path) -> list[str]:
    """Of the spool's own making; what else lies there is left alone."""
    return [one.name for one in os.scandir(folder) if _HEX.issuperset(one.name) and one.is_dir(follow_symlinks=False)]


def _full(reason: str) -> Unavailable:
    log.warning("instances are refused with A700: %s", reason)
    return Unavailable(reason, place="spool")
