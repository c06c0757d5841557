"""An instance that arrives in the DICOM File Format, or as metadata: in memory while it is short, else in its file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gateway.dicom_encoding import EXPLICIT_LITTLE, Encoded
from gateway.errors import GatewayError, Malformed, SyntaxNotAcceptedError, TooLarge, Unavailable, UnsupportedType
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.long_work import LONG_BYTES
from gateway.spool import SpoolFile
from gateway.wire.dimse.data_set import ArrivingDataSet, DataSetFile, UnnamedFile, let_go
from gateway.wire.dimse.elements import coding_of, elements_of
from gateway.wire.dimse.header import has_header
from gateway.wire.part10_head import Part10Head, read_head

NewFile = Callable[[str, str, str], SpoolFile]
"""Makes a file of the spool: SOP Class, SOP Instance and Transfer Syntax UID."""
_CLASS: Final = 0x00080016
_INSTANCE: Final = 0x00080018
_PIECE_BYTES: Final = 256 * 1024
"""So much is added between two looks at whether to write."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where instances go while they arrive."""

    max_bytes: int
    """Of a data set."""
    new_file: NewFile | None
    """None: only headers are kept."""
    folder: Path | None
    """Of what waits on disk without being kept; None: the system's."""
    served: Mapping[str, Collection[str]]
    """SOP class -> the transfer syntaxes in which its instances are taken."""

    def check(self, head: Part10Head) -> None:
        """Raises `UnsupportedType` for an instance that is not taken by C-STORE either, `SyntaxNotAcceptedError` for
        one that is in another transfer syntax."""
        syntaxes = self.served.get(head.sop_class_uid)
        if syntaxes is None:
            raise UnsupportedType("no storage class that is taken here", place="SOPClassUID")
        if head.transfer_syntax_uid not in syntaxes:
            raise SyntaxNotAcceptedError(sorted(syntaxes), place="TransferSyntaxUID")


@dataclass(slots=True)
class Arrived:
    """An instance that has come to its end, and is in memory or in its file until `close`."""

    head: Part10Head
    data: Encoded
    file: DataSetFile | None

    def incoming(self, sender: Sender, study_uid: str) -> Incoming:
        """The instance on its way to the station."""
        return Incoming(
            sender,
            self.head.transfer_syntax_uid,
            self.data,
            sop_class_uid=self.head.sop_class_uid,
            sop_instance_uid=self.head.sop_instance_uid,
            study_instance_uid=study_uid,
            begins_at=self.file.begins_at if self.file is not None else 0,
            file=self.file if isinstance(self.file, SpoolFile) else None,
        )

    def close(self) -> None:
        """Let go of the data, and of the file unless somebody took it over."""
        let_go(self.data, self.file)


class ArrivingInstance:
    """The data set of an instance whose head is known: `add` its bytes, then `end`; `close` where it does not end."""

    def __init__(self, head: Part10Head, room: Room) -> None:
        """Raises as `Room.check`."""
        room.check(head)
        self._head = head
        self._room = room
        self._size = 0
        self._data_set = ArrivingDataSet(room.max_bytes)
        enough = partial(has_header, transfer_syntax_uid=head.transfer_syntax_uid)
        self._data_set.begin(enough if room.new_file is None else None)

    async def add(self, data: Encoded) -> None:
        """Raises `TooLarge`."""
        self._size += len(data)
        if self._size > self._room.max_bytes:
            raise TooLarge(f"more than {self._room.max_bytes} bytes", place="data set")
        for at in range(0, len(data), _PIECE_BYTES):
            with memoryview(data)[at : at + _PIECE_BYTES] as piece:
                self._data_set.add(piece)
            if self._data_set.is_full:
                await asyncio.to_thread(self._data_set.write, self._file)

    def _file(self) -> DataSetFile:
        if self._room.new_file is None:
            return UnnamedFile(self._room.folder)
        head = self._head
        return self._room.new_file(head.sop_class_uid, head.sop_instance_uid, head.transfer_syntax_uid)

    async def end(self) -> Arrived:
        """Raises `Unavailable` where the disk had no room for it."""
        if self._data_set.is_in_file:
            await asyncio.to_thread(self._data_set.write, self._file)
            data, file, lost = await asyncio.to_thread(self._data_set.take)
        else:
            data, file, lost = self._data_set.take()
        if lost:
            raise Unavailable(f"the data set cannot be kept: {lost}", place="spool")
        return Arrived(self._head, data, file)

    def close(self) -> None:
        self._data_set.close()


class ArrivingFile:
    """An instance in the DICOM File Format: `add` its bytes, then `end`; `close` where it does not end.

    `syntax`: the transfer syntax that is named beside it, for a file that names none.
    """

    def __init__(self, room: Room, syntax: str = "") -> None:
        self._room = room
        self._syntax = syntax
        self._begun = bytearray()
        self._inner: ArrivingInstance | None = None
        self.head = Part10Head("", "", "", 0)
        """What is known of the instance so far."""
        self._fault: GatewayError | None = None

    @property
    def begun(self) -> bytes:
        """The first bytes of what is no DICOM file."""
        return bytes(self._begun)

    async def add(self, data: bytes) -> None:
        """What cannot be kept is read to its end all the same: `end` raises why."""
        if self._fault is not None:
            return
        try:
            if self._inner is not None:
                await self._inner.add(data)
                return
            self._begun += data
            await self._begin(is_whole=False)
        except GatewayError as error:
            self._fail(error)

    async def _begin(self, *, is_whole: bool) -> None:
        head = read_head(self._begun, is_whole=is_whole)
        if head is None:
            return
        head = head._replace(transfer_syntax_uid=head.transfer_syntax_uid or self._syntax or EXPLICIT_LITTLE)
        rest = bytes(self._begun[head.ends_at :])
        if not (head.sop_class_uid and head.sop_instance_uid):
            if len(rest) < LONG_BYTES and not is_whole:
                return
            head = _named_by(rest, head)
        self.head = head
        self._inner = ArrivingInstance(head, self._room)
        self._begun.clear()
        await self._inner.add(rest)

    def _fail(self, error: GatewayError) -> None:
        self._fault = error
        self.close()

    async def end(self) -> Arrived:
        """Raises `Malformed`, `UnsupportedType`, `TooLarge` or `Unavailable`."""
        if self._fault is None and self._inner is None:
            await self._begin(is_whole=True)
        if self._fault is not None:
            raise self._fault
        assert self._inner is not None
        return await self._inner.end()

    def close(self) -> None:
        """Let go of what has come."""
        if self._inner is not None:
            self._inner.close()
            self._inner = None


def _named_by(data: bytes, head: Part10Head) -> Part10Head:
    """The head with the UIDs that the beginning of the data set has: some writers leave them out of File Meta
    Information. Raises `Malformed` where neither names the instance."""
    found = {_CLASS: head.sop_class_uid, _INSTANCE: head.sop_instance_uid}
    try:
        for element in elements_of(data, 0, len(data), coding_of(data[:6], head.transfer_syntax_uid)):
            if element.tag > _INSTANCE:
                break
            if element.tag in found:
                value = data[element.at : element.at + element.length]
                found[element.tag] = found[element.tag] or value.decode("latin-1").strip(" \0")
    except Malformed:
        pass
    if not all(found.values()):
        raise Malformed("neither File Meta Information nor the data set names the instance", place="SOPInstanceUID")
    return head._replace(sop_class_uid=found[_CLASS], sop_instance_uid=found[_INSTANCE])
