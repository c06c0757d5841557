"""The folder of an export: made under a temporary name beside it, and renamed when everything in it is durable."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateway.errors import ConfigError


class ExportFolder:
    """Files of mode 0600 in a folder of mode 0700 that nobody looks into before it has its name."""

    def __init__(self, path: Path) -> None:
        """`path`: what it is called in the end."""
        self._named = path
        self._path = path.absolute()
        self._made: Path | None = None

    def make(self) -> None:
        """Raises `ConfigError` where something is there that is no empty folder."""
        try:
            if self._path.exists() and (not self._path.is_dir() or any(self._path.iterdir())):
                raise ConfigError([f"{self._named}: is there already; an export never overwrites another"])
            self._made = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", suffix=".partial", dir=self._path.parent))
        except OSError as error:
            raise ConfigError([f"{self._named}: cannot be made ({error.strerror})"]) from error

    @contextmanager
    def file(self, name: str) -> Iterator[IO[bytes]]:
        """A new file, on the disk when the context ends."""
        descriptor = os.open(self._temporary / name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def digest(self, name: str) -> str:
        """SHA-256 of a file, in hexadecimal digits."""
        with (self._temporary / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return (self._temporary / name).stat().st_size

    def publish(self) -> None:
        """Give the folder its name. Raises `ConfigError` when somebody has made something there meanwhile."""
        _sync(self._temporary)
        try:
            self._temporary.rename(self._path)
        except OSError as error:
            raise ConfigError([f"{self._path}: cannot be named so ({error.strerror})"]) from error
        _sync(self._path.parent)

    def discard(self) -> None:
        """Take away what was written, unless it has its name already."""
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)

    @property
    def _temporary(self) -> Path:
        assert self._made is not None, "made before anything is written"
        return self._made


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
