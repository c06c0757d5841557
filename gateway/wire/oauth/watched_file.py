"""Files that are read again when they change, so that a new secret or key needs no restart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from gateway.errors import ConfigError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Watched(Generic[T]):
    """What `read` makes of `paths`; a folder stands for the files in it, in the order of their names.

    Raises `ConfigError` when they cannot be used at first. Later on, files that cannot be used (one half written, say)
    leave in force what was read before, with a warning.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[Sequence[Path]], T]) -> None:
        self._paths = tuple(paths)
        self._read = read
        self._seen = self._signature()
        self._value = read(self._files())

    def value(self) -> T:
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            try:
                self._value = self._read(self._files())
                log.info("%s: read again", ", ".join(map(str, self._paths)))
            except ConfigError as error:
                log.warning("%s; what was read before stays in force", "; ".join(error.faults))
        return self._value

    def _files(self) -> list[Path]:
        files: list[Path] = []
        for path in self._paths:
            # Hidden names are those of editors, and of how Kubernetes mounts a secret.
            inside = sorted(one for one in path.iterdir() if not one.name.startswith(".")) if path.is_dir() else [path]
            files += inside
        return files

    def _signature(self) -> object:
        """Changes when a file does; what cannot be looked at has a signature of its own."""
        found: list[object] = []
        try:
            for path in self._files():
                known = path.stat()
                found.append((path, known.st_mtime_ns, known.st_size, known.st_ino))
        except OSError as error:
            found.append((error.errno, error.filename))
        return found
