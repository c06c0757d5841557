"""A data set that arrives: in memory while it is short, in an unnamed file once it is long."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import IO, Any, Final

from gateway.wire.dimse.elements import Encoded

MEMORY_BYTES: Final = 2 * 1024 * 1024
"""A longer data set waits in a file; so many bytes are written at a time."""


class DataSetSpool:
    """`add` bytes, and `write` in a thread whenever `is_full`; `take` gives the whole and makes ready for the next."""

    def __init__(self, max_bytes: int, folder: Path | None) -> None:
        self._max_bytes = max_bytes
        self._folder = folder
        self._memory = bytearray()
        self._size = 0
        self._file: IO[Any] | None = None
        self._lost = ""

    @property
    def is_full(self) -> bool:
        """Whether more waits in memory than may."""
        return len(self._memory) > MEMORY_BYTES

    @property
    def is_in_file(self) -> bool:
        """Whether the data set has a file, or will have one."""
        return self._file is not None or self.is_full

    def add(self, data: memoryview) -> None:
        """Add to the data set; what is beyond the limit is dropped, and the data set with it."""
        self._size += len(data)
        if self._size > self._max_bytes:
            self._lose(f"more than {self._max_bytes} bytes")
        if not self._lost:
            self._memory += data

    def write(self) -> None:
        """Move what waits in memory to the file. Blocks."""
        if self._lost:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="gateway-", dir=self._folder)  # noqa: SIM115 - closed below
            self._file.write(self._memory)
            self._memory = bytearray()
        except OSError as error:
            self._lose(error.strerror or type(error).__name__)

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> tuple[Encoded, str]:
        """The data set, and why it is not whole; ready for the next. Blocks where the data set is in a file."""
        data: Encoded = bytes(self._memory)
        lost = self._lost
        if self._file is not None:
            try:
                self._file.flush()
                data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                lost = error.strerror or type(error).__name__
        self.close()
        return data, lost

    def close(self) -> None:
        """Let go of the file, and be ready for another data set."""
        if self._file is not None:
            self._file.close()
        self._memory, self._size, self._file, self._lost = bytearray(), 0, None, ""
