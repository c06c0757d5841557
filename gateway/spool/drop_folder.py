"""Instances as files in a folder that other programs read (PS3.10 chapter 7).

`FOLDER/<Study Instance UID>/<SOP Instance UID>.dcm`; what is being written stands in `FOLDER/.incoming/` and gets its
name when all of it is on the disk. The folder itself is never made: where there is
none, its disk is not mounted.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import stat
import time
import uuid
from collections.abc import AsyncIterable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import Unavailable
from gateway.spool.disk import sync_folder

INCOMING: Final = ".incoming"
FILE_MODE: Final = 0o640
FOLDER_MODE: Final = 0o750
"""The programs that read are of the folder's group."""
SYNCED_BYTES: Final = 64 * 1024 * 1024
"""So much is forced to the disk at a time, so that no step of a long file takes long."""
LEFT_SECONDS: Final = 24 * 3600.0
"""What a gateway left that was killed; so old nobody writes it any more."""
CLEAR_SECONDS: Final = 3600.0
_NOT_POSSIBLE: Final = frozenset({errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS})
_UID: Final = re.compile(r"[0-9][0-9.]{0,63}", re.ASCII)


@dataclass(slots=True)
class _Incoming:
    """A file that is being written."""

    path: Path
    descriptor: int = -1
    """-1: the file is not open."""
    unsynced: int = 0
    step: Future[None] | None = None
    """The last, which may go on when nobody waits for its end any more."""


class DropFolder:
    """`writers` files at once. `seconds`: for each step, such as the writing of a piece; `close` it at the end."""

    def __init__(self, folder: Path, seconds: float, writers: int = 4) -> None:
        self.folder = folder
        self._seconds = seconds
        # Threads of its own: a network disk that hangs must hold nobody else's.
        self._threads = ThreadPoolExecutor(writers, thread_name_prefix="folder")
        self._cleared_at = -CLEAR_SECONDS

    async def write(self, pieces: AsyncIterable[bytes], study_uid: str, sop_instance_uid: str) -> None:
        """Return when the file of these pieces is on the disk under its name, in place of what has this name.

        Raises `Unavailable` when the folder is not there, full or does not answer, and what `pieces` raises.
        """
        incoming = _Incoming(self.folder / INCOMING / f"{uuid.uuid4().hex}.dcm")
        try:
            await self._step(incoming, self._begin)
            async for piece in pieces:
                await self._step(incoming, _append, piece)
            await self._step(incoming, self._finish, study_uid, sop_instance_uid)
        except BaseException:
            if incoming.step is not None:
                # Not while a step goes on that hung: it would write to, or close, whatever has the descriptor then.
                incoming.step.add_done_callback(lambda _: self._discard(incoming))
            raise

    async def close(self) -> None:
        """What hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _discard(self, incoming: _Incoming) -> None:
        with suppress(RuntimeError):  # closed: the next gateway clears the file away
            self._threads.submit(_discard, incoming)

    async def _step(self, incoming: _Incoming, do: Callable[..., None], *args: bytes | str) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                incoming.step = self._threads.submit(do, incoming, *args)
                await asyncio.wrap_future(incoming.step)
        except TimeoutError as error:
            raise Unavailable(
                f"the folder does not answer within {self._seconds:g} s", place=str(self.folder)
            ) from error
        except OSError as error:
            raise Unavailable(f"cannot be written ({error.strerror})", place=str(self.folder)) from error

    def _begin(self, incoming: _Incoming) -> None:
        if not self.folder.is_dir():
            raise Unavailable("the folder is not there; is its disk mounted?", place=str(self.folder))
        folder = self.folder / INCOMING
        folder.mkdir(mode=0o700, exist_ok=True)
        now = time.monotonic()
        if now - self._cleared_at >= CLEAR_SECONDS:
            self._cleared_at = now
            _clear(folder)
        incoming.descriptor = os.open(incoming.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)

    def _finish(self, incoming: _Incoming, study_uid: str, sop_instance_uid: str) -> None:
        with _where_possible():
            incoming.path.chmod(FILE_MODE)
        os.fsync(incoming.descriptor)
        study = self.folder / name_of(study_uid)
        with suppress(FileExistsError):
            study.mkdir()
            with _where_possible():  # the group of the folder above is inherited
                study.chmod(study.stat().st_mode & stat.S_ISGID | FOLDER_MODE)
            with _where_possible():
                sync_folder(self.folder)
        incoming.path.replace(study / f"{name_of(sop_instance_uid)}.dcm")
        os.close(incoming.descriptor)
        incoming.descriptor = -1
        with _where_possible():
            sync_folder(study)


@contextmanager
def _where_possible() -> Iterator[None]:
    """Shares of other systems may have their own modes, and no way to sync a folder: files are written all the same."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise


def name_of(uid: str) -> str:
    """A UID as the name of a file; what is no UID, and might lead elsewhere, by its hash."""
    return uid if _UID.fullmatch(uid) else f"x-{hashlib.sha256(uid.encode()).hexdigest()[:32]}"


def _append(incoming: _Incoming, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(incoming.descriptor, left) :]
    incoming.unsynced += len(piece)
    if incoming.unsynced >= SYNCED_BYTES:
        os.fdatasync(incoming.descriptor)
        incoming.unsynced = 0


def _discard(incoming: _Incoming) -> None:
    with suppress(OSError):
        incoming.path.unlink(missing_ok=True)
    if incoming.descriptor >= 0:
        with suppress(OSError):
            os.close(incoming.descriptor)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):  # another gateway's, which is done with it by now
            if time.time() - path.stat().st_mtime > LEFT_SECONDS:
                path.unlink()
