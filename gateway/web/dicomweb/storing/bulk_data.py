"""Bulk data of a request whose instances come as metadata: the parts that metadata name by Content-Location (PS3.18
8.7.3.3, 10.5.1)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from gateway.dicom_encoding import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoded
from gateway.errors import RequiredMissing, TooLarge, Unavailable, UnsupportedType
from gateway.web.dicomweb.storing.arriving import Room
from gateway.wire.dicomweb.media_types import parsed
from gateway.wire.dimse.data_set import ArrivingDataSet, DataSetFile, UnnamedFile, let_go

SYNTAXES: Final = {
    "application/octet-stream": EXPLICIT_LITTLE,
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "video/mpeg2": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
}
"""Media type of bulk data -> the transfer syntax where the part names none (PS3.18 Tables 8.7.3-2 to 8.7.3-4)."""
PLAIN: Final = frozenset({EXPLICIT_LITTLE, IMPLICIT_LITTLE, ""})
"""Whose values are the same bytes."""
MOST: Final = 1_000_000
"""Parts of bulk data of a request: of compressed pixel data each frame is a part."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A part: a value, or of compressed pixel data a frame."""

    syntax: str
    begin: int
    end: int


class BulkData:
    """`begin` a part, `add` its bytes, `end` it; once all have come `open`. Where only headers are kept, the names
    alone are held."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = self._begin = self._number = 0
        self._location = self._syntax = ""
        self._parts: dict[str, list[Bulk]] = defaultdict(list)
        self._data_set = ArrivingDataSet(room.max_bytes)
        self._data_set.begin(None)
        self._data: Encoded = b""
        self._file: DataSetFile | None = None

    def begin(self, location: str, content_type: str) -> None:
        """A part that metadata name as `location`. Raises `RequiredMissing` without one, `UnsupportedType`, or
        `TooLarge` for too many."""
        self._number += 1
        if self._number > MOST:
            raise TooLarge(f"more than {MOST} parts of bulk data", place="body")
        name, parameters = parsed(content_type)
        if not location:
            raise RequiredMissing("a part of bulk data names itself", place="Content-Location")
        syntax = parameters.get("transfer-syntax") or SYNTAXES.get(name)
        if syntax is None:
            raise UnsupportedType("no media type of bulk data", place="Content-Type")
        self._location, self._syntax, self._begin = location.strip(), syntax, self._size

    async def add(self, data: bytes) -> None:
        """Raises `TooLarge`."""
        if self._room.new_file is None:
            return
        self._size += len(data)
        if self._size > self._room.max_bytes:
            raise TooLarge(f"more than {self._room.max_bytes} bytes of bulk data", place="body")
        with memoryview(data) as piece:
            self._data_set.add(piece)
        if self._data_set.is_full:
            await asyncio.to_thread(self._data_set.write, self._new_file)

    def _new_file(self) -> DataSetFile:
        return UnnamedFile(self._room.folder)

    def end(self) -> None:
        """The part is whole."""
        self._parts[self._location].append(Bulk(self._syntax, self._begin, self._size))

    async def open(self) -> None:
        """Every part has come. Raises `Unavailable` where the disk had no room for them."""
        if self._data_set.is_in_file:
            await asyncio.to_thread(self._data_set.write, self._new_file)
        self._data, self._file, lost = await asyncio.to_thread(self._data_set.take)
        if lost:
            raise Unavailable(f"bulk data cannot be kept: {lost}", place="spool")

    def named(self, uri: str) -> list[Bulk]:
        """The parts of this name; of several each is a frame. Raises `RequiredMissing`: no other server is asked."""
        if not (found := self._parts.get(uri.strip())):
            raise RequiredMissing("bulk data that is not in the request", place="BulkDataURI")
        return found

    def bytes_of(self, part: Bulk, begin: int, end: int) -> bytes:
        """A piece of a part, by offsets in the part."""
        return bytes(self._data[part.begin + begin : min(part.begin + end, part.end)])

    def close(self) -> None:
        """Let go of all."""
        self._data_set.close()
        let_go(self._data, self._file)
