"""A data set that arrives: in memory while it is short, in a file once it is long."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from gateway.dicom_encoding import Encoded
from gateway.errors import GatewayError
from gateway.long_work import LONG_BYTES

IsEnough = Callable[[bytes], bool]
"""Whether the first `LONG_BYTES` of a data set hold all that is wanted of it: what follows is dropped."""
MEMORY_BYTES: Final = 2 * 1024 * 1024
"""A longer data set waits in a file; so many bytes are written at a time."""


class DataSetFile(Protocol):
    """Where a long data set waits. What it does may block, but for `close`."""

    @property
    def begins_at(self) -> int:
        """Offset of the data set in the file."""

    def write(self, data: bytes | bytearray, /) -> None:
        """Raises `OSError`, or a `GatewayError` that names what keeps it from being written."""

    def view(self) -> mmap.mmap:
        """The file as it is now. Raises `OSError`."""

    def close(self) -> None:
        """Let go of the file, and of what is in it unless somebody took it over."""


class UnnamedFile:
    """A file that nobody else sees, gone when it is closed, in `folder` (None: the system's). Raises `OSError`."""

    begins_at = 0

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(prefix="gateway-", dir=folder)  # noqa: SIM115 - closed below

    def write(self, data: bytes | bytearray, /) -> None:
        self._file.write(data)

    def view(self) -> mmap.mmap:
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        self._file.close()


def let_go(data: Encoded, file: DataSetFile | None) -> None:
    """Let go of what `ArrivingDataSet.take` gave."""
    if isinstance(data, mmap.mmap):
        with suppress(BufferError):  # a thread that reads it yet keeps it to its own end
            data.close()
    if file is not None:
        file.close()


class ArrivingDataSet:
    """`add` bytes, and `write` in a thread whenever `is_full`; `take` gives the whole and makes ready for the next."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._memory = bytearray()
        self._size = 0
        self._file: DataSetFile | None = None
        self._lost = ""
        self._is_enough: IsEnough | None = None
        self._has_enough = False

    def begin(self, is_enough: IsEnough | None) -> None:
        """The next data set; None: all of it is wanted."""
        self._is_enough, self._has_enough = is_enough, False

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
        if self._lost or self._has_enough:
            return
        self._memory += data
        if self._is_enough is not None and len(self._memory) >= LONG_BYTES:
            # Asked once: fragments may be crumbs.
            self._has_enough = self._is_enough(bytes(self._memory[:LONG_BYTES]))
            self._is_enough = None

    def write(self, new_file: Callable[[], DataSetFile]) -> None:
        """Move what waits in memory to the file, which is made when it is first needed. Blocks."""
        if self._lost:
            return
        try:
            if self._file is None:
                self._file = new_file()
            self._file.write(self._memory)
            self._memory = bytearray()
        except OSError as error:
            self._lose(error.strerror or type(error).__name__)
        except GatewayError as error:
            self._lose(error.message)

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> tuple[Encoded, DataSetFile | None, str]:
        """The data set, its file if it has one, and why it is not whole; ready for the next. Blocks where it has one.

        The data set of a file is a view of the whole file.
        """
        view = self._view()
        data, file, lost = view or bytes(self._memory), self._file, self._lost
        self._memory, self._size, self._file, self._lost = bytearray(), 0, None, ""
        return data, file, lost

    def _view(self) -> mmap.mmap | None:
        if self._file is not None:
            try:
                return self._file.view()
            except OSError as error:
                self._lose(error.strerror or type(error).__name__)
        return None

    def close(self) -> None:
        """Let go of the file, and be ready for another data set."""
        if self._file is not None:
            self._file.close()
        self._memory, self._size, self._file, self._lost = bytearray(), 0, None, ""
