"""DIMSE messages put together from presentation data values (PS3.7 8.1, PS3.8 Annex E)."""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Final

from gateway.wire.dimse import command
from gateway.wire.dimse.command import Command, CommandFault
from gateway.wire.dimse.elements import Encoded
from gateway.wire.dimse.pdu import COMMAND, LAST, Fragment

MAX_COMMAND_BYTES: Final = 64 * 1024
MEMORY_BYTES: Final = 2 * 1024 * 1024
"""A longer data set waits in an unnamed file for its last fragment."""


@dataclass(slots=True)
class Message:
    """A whole request as it came. `data_set` is empty when there is none, and when it was too long to be kept."""

    context_id: int
    command: Command
    data_set: Encoded = b""
    lost: str = ""
    """Why the data set could not be kept; empty when it was."""

    def close(self) -> None:
        if isinstance(self.data_set, mmap.mmap):
            with suppress(BufferError):  # a thread that reads it yet keeps it to its own end
                self.data_set.close()


class Assembler:
    """`add` each fragment; a message comes back with its last one.

    `max_bytes` bounds a data set. One that is longer, or that the disk has no room for, is read to its end all the
    same, so that its request can be answered.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._command = bytearray()
        self._message: Message | None = None
        self._context_id = 0
        self._spool = _Spool(max_bytes)

    @property
    def is_under_way(self) -> bool:
        """Has a message begun that has not ended?"""
        return self._message is not None or bool(self._command)

    def add(self, fragment: Fragment) -> Message | None:
        """Raises `CommandFault` for what is out of order."""
        if self.is_under_way and fragment.context_id != self._context_id:
            raise CommandFault("a fragment of another presentation context within a message")
        self._context_id = fragment.context_id
        if bool(fragment.control & COMMAND) == (self._message is not None):
            raise CommandFault("a command where a data set should be, or the other way round")
        if self._message is None:
            return self._add_command(fragment)
        self._spool.write(fragment.data)
        if not fragment.control & LAST:
            return None
        message, self._message = self._message, None
        message.data_set, message.lost = self._spool.take()
        return message

    def _add_command(self, fragment: Fragment) -> Message | None:
        self._command += fragment.data
        if len(self._command) > MAX_COMMAND_BYTES:
            raise CommandFault("the command set does not end")
        if not fragment.control & LAST:
            return None
        read, self._command = command.read(bytes(self._command)), bytearray()
        message = Message(fragment.context_id, read)
        if read.has_data_set:
            self._message = message
            return None
        return message

    def close(self) -> None:
        self._spool.take()


class _Spool:
    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._memory = bytearray()
        self._size = 0
        self._file: IO[Any] | None = None
        self._lost = ""

    def write(self, data: memoryview) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            self._lose(f"more than {self._max_bytes} bytes")
        if self._lost:
            return
        if self._size <= MEMORY_BYTES:
            self._memory += data
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="gateway-")  # noqa: SIM115 - closed by _lose or take
                self._file.write(self._memory)
                self._memory = bytearray()
            self._file.write(data)
        except OSError as error:
            self._lose(error.strerror or type(error).__name__)

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> tuple[Encoded, str]:
        """What was written, and why it is not all there; ready for the next data set."""
        data: Encoded = bytes(self._memory)
        lost = self._lost
        if self._file is not None:
            try:
                self._file.flush()
                data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                lost = error.strerror or type(error).__name__
            self._file.close()
        self._memory, self._size, self._file, self._lost = bytearray(), 0, None, ""
        return data, lost
