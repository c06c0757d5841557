"""DIMSE messages put together from presentation data values (PS3.7 8.1, PS3.8 Annex E)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.dicom_encoding import Encoded
from gateway.wire.dimse import command
from gateway.wire.dimse.command import Command, CommandFault
from gateway.wire.dimse.data_set import ArrivingDataSet, DataSetFile, IsEnough, UnnamedFile, let_go
from gateway.wire.dimse.pdu import COMMAND, LAST, Fragment

MAX_COMMAND_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class DimseMessage:
    """A whole request as it came. `data_set` is empty when there is none, and when it was too long to be kept; where
    its beginning is enough it is that."""

    context_id: int
    command: Command
    data_set: Encoded = b""
    file: DataSetFile | None = None
    """Which `data_set` is a view of."""
    lost: str = ""
    """Why the data set could not be kept; empty when it was."""

    def close(self) -> None:
        let_go(self.data_set, self.file)


FileFor = Callable[[DimseMessage], DataSetFile]
"""Makes the file of a data set that is too long for memory, of the message that it belongs to. Blocks."""


class Assembler:
    """`add` each fragment; a message comes back with its last one.

    While `must_write` is set no fragment may be added: `write` first, in a thread. `max_bytes` bounds a data set. What
    is longer, or has no room on the disk, is read to its end all the same, so that its request can be answered. A long
    data set waits in a file that `file_for` makes. `enough_of` gives what says how much of a data set is wanted.
    """

    def __init__(
        self,
        max_bytes: int,
        file_for: FileFor = lambda _message: UnnamedFile(),
        enough_of: Callable[[DimseMessage], IsEnough | None] = lambda _message: None,
    ) -> None:
        self._command = bytearray()
        self._message: DimseMessage | None = None
        self._context_id = 0
        self._data_set = ArrivingDataSet(max_bytes)
        self._file_for = file_for
        self._enough_of = enough_of
        self._is_complete = False

    @property
    def is_under_way(self) -> bool:
        """Has a message begun that has not ended?"""
        return self._message is not None or bool(self._command)

    @property
    def must_write(self) -> bool:
        """Whether a block waits for the disk."""
        return self._data_set.is_full or self._is_complete

    def add(self, fragment: Fragment) -> DimseMessage | None:
        """Raises `CommandFault` for what is out of order."""
        if self.is_under_way and fragment.context_id != self._context_id:
            raise CommandFault("a fragment of another presentation context within a message")
        self._context_id = fragment.context_id
        if bool(fragment.control & COMMAND) == (self._message is not None):
            raise CommandFault("a command where a data set should be, or the other way round")
        if self._message is None:
            return self._add_command(fragment)
        self._data_set.add(fragment.data)
        if not fragment.control & LAST:
            return None
        if self._data_set.is_in_file:
            self._is_complete = True
            return None
        return self._whole()

    def write(self) -> DimseMessage | None:
        """Write what waits to the file, and return the message if that was the last of the data set. Blocks."""
        assert self._message is not None
        self._data_set.write(partial(self._file_for, self._message))
        if not self._is_complete:
            return None
        self._is_complete = False
        return self._whole()

    def _whole(self) -> DimseMessage:
        message, self._message = self._message, None
        assert message is not None
        message.data_set, message.file, message.lost = self._data_set.take()
        return message

    def _add_command(self, fragment: Fragment) -> DimseMessage | None:
        self._command += fragment.data
        if len(self._command) > MAX_COMMAND_BYTES:
            raise CommandFault("the command set does not end")
        if not fragment.control & LAST:
            return None
        read, self._command = command.read(bytes(self._command)), bytearray()
        message = DimseMessage(fragment.context_id, read)
        if read.has_data_set:
            self._message = message
            self._data_set.begin(self._enough_of(message))
            return None
        return message

    def close(self) -> None:
        """Let go of a data set that will not end."""
        self._data_set.close()
