"""The parts of a Store, by what their Content-Type states: instances, metadata, bulk data, and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final, NamedTuple, Protocol

from gateway.errors import GatewayError, TooLarge
from gateway.long_work import beside
from gateway.web.dicomweb.representations import MAX_BODY_BYTES
from gateway.web.dicomweb.storing.arriving import ArrivingFile, ArrivingInstance, Room
from gateway.web.dicomweb.storing.batch import MOST, Batch
from gateway.web.dicomweb.storing.bulk_data import BulkData
from gateway.web.dicomweb.storing.metadata import head_of, pieces_of, transfer_syntax_of
from gateway.web.dicomweb.storing.response import UnsupportedMedia
from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dicomweb.dataset import Dataset
from gateway.wire.dicomweb.media_types import DICOM, JSON, XML, parsed
from gateway.wire.dicomweb.parts import Event, PartBegins, PartEnds

TYPES: Final = (DICOM, JSON, XML)
"""What a request may be of: instances as files, or metadata with bulk data."""
_Read = Callable[[bytes], list[Dataset]]
_READERS: Final[Mapping[str, _Read]] = {
    JSON: dicom_json.read_all,
    XML: lambda body: [native_xml.read(body)],
}
MAX_METADATA_BYTES: Final = 4 * MAX_BODY_BYTES
"""Of a request: they wait for their bulk data."""
_GATHERED_BYTES: Final = 1024 * 1024


@lru_cache(maxsize=64)
def _parsed(content_type: str) -> tuple[str, Mapping[str, str]]:
    """As `parsed`: the parts of a request are mostly of one type."""
    return parsed(content_type)


class _Metadata(NamedTuple):
    """A part with instances as metadata, and what reads the part."""

    read: _Read
    body: bytes


@dataclass(slots=True)
class _AllMetadata:
    """Of a request."""

    parts: list[_Metadata] = field(default_factory=list)
    size: int = 0
    """Bytes of the parts."""


class _Part(Protocol):
    """`add` what comes, then `end`; `close` where it does not end. Faults are the batch's, not the caller's."""

    async def add(self, data: bytes) -> None: ...
    async def end(self) -> None: ...
    def close(self) -> None: ...


class StoreParts:
    """`take` what a reader of the body gives, then `finish`; `close` in any case."""

    def __init__(self, room: Room, batch: Batch, of_type: str) -> None:
        """`of_type`: media type of parts that state none."""
        self._room = room
        self._batch = batch
        self._type = of_type
        self._part: _Part | None = None
        self._metadata = _AllMetadata()
        self._bulk = BulkData(room)

    async def take(self, event: Event) -> None:
        """Raises `TooLarge` for too many parts."""
        if isinstance(event, PartBegins):
            _check_number(len(self._batch) + len(self._metadata.parts) + 1)
            self._part = self._part_of(event.headers)
        elif self._part is not None:
            if isinstance(event, PartEnds):
                part, self._part = self._part, None
                await part.end()
            else:
                await self._part.add(event)

    def _part_of(self, headers: Mapping[str, str]) -> _Part:
        written = headers.get("content-type", "").strip() or self._type
        name, parameters = _parsed(written)
        if name == DICOM:
            return _FilePart(self._batch, ArrivingFile(self._room, parameters.get("transfer-syntax", "")))
        if name in _READERS:
            return _MetadataPart(self._batch, self._metadata, _READERS[name])
        if self._type in _READERS:
            return _BulkPart(self._batch, self._bulk, headers.get("content-location", ""), written)
        return _OtherPart(self._batch)

    async def finish(self) -> None:
        """Keep the instances that came as metadata, now that all bulk data is here. Raises `TooLarge` for too many."""
        if not self._metadata.parts:
            return
        try:
            await self._bulk.open()
        except GatewayError as error:
            await self._batch.fail(error)
            return
        for one in self._metadata.parts:
            try:
                datasets = await beside(partial(one.read, one.body))
            except GatewayError as error:
                await self._batch.fail(error, begun=one.body)
                continue
            _check_number(len(self._batch) + len(datasets))
            for dataset in datasets:
                await self._keep(dataset)

    async def _keep(self, dataset: Dataset) -> None:
        head, instance = None, None
        try:
            head = head_of(dataset)
            head = head._replace(transfer_syntax_uid=transfer_syntax_of(dataset, self._bulk))
            instance = ArrivingInstance(head, self._room)
            pieces = pieces_of(dataset, self._bulk)

            def gathered() -> bytes:
                data = bytearray()
                for piece in pieces:
                    data += piece
                    if len(data) >= _GATHERED_BYTES:
                        break
                return bytes(data)

            while data := await beside(gathered):
                await instance.add(data)
            await self._batch.keep(await instance.end())
        except GatewayError as error:
            if instance is not None:
                instance.close()
            await self._batch.fail(error, head)

    def close(self) -> None:
        """Let go of a part that did not end, and of bulk data."""
        if self._part is not None:
            self._part.close()
        self._bulk.close()


def _check_number(number: int) -> None:
    if number > MOST:
        raise TooLarge(f"more than {MOST} parts or instances", place="body")


class _FilePart:
    """An instance in the DICOM File Format."""

    def __init__(self, batch: Batch, file: ArrivingFile) -> None:
        self._batch = batch
        self._file = file

    async def add(self, data: bytes) -> None:
        await self._file.add(data)

    async def end(self) -> None:
        try:
            arrived = await self._file.end()
        except GatewayError as error:
            await self._batch.fail(error, self._file.head, self._file.begun)
        else:
            await self._batch.keep(arrived)

    def close(self) -> None:
        self._file.close()


class _MetadataPart:
    """Instances as metadata: one document, or an array of objects."""

    def __init__(self, batch: Batch, metadata: _AllMetadata, read: _Read) -> None:
        self._batch = batch
        self._metadata = metadata
        self._read = read
        self._body = bytearray()
        self._is_too_large = False

    async def add(self, data: bytes) -> None:
        size = len(self._body) + len(data)
        is_too_large = size > MAX_BODY_BYTES or self._metadata.size + size > MAX_METADATA_BYTES
        self._is_too_large = self._is_too_large or is_too_large
        if not self._is_too_large:
            self._body += data

    async def end(self) -> None:
        if self._is_too_large:
            await self._batch.fail(TooLarge(f"metadata of more than {MAX_BODY_BYTES} bytes", place="body"))
        else:
            self._metadata.size += len(self._body)
            self._metadata.parts.append(_Metadata(self._read, bytes(self._body)))

    def close(self) -> None:
        self._body.clear()


class _BulkPart:
    """A value that metadata name."""

    def __init__(self, batch: Batch, bulk: BulkData, location: str, content_type: str) -> None:
        self._batch = batch
        self._bulk = bulk
        self._fault: GatewayError | None = None
        try:
            bulk.begin(location, content_type)
        except GatewayError as error:
            self._fault = error

    async def add(self, data: bytes) -> None:
        if self._fault is not None:
            return
        try:
            await self._bulk.add(data)
        except GatewayError as error:
            self._fault = error

    async def end(self) -> None:
        if self._fault is None:
            self._bulk.end()
        else:
            await self._batch.fail(self._fault)

    def close(self) -> None:
        """`BulkData.close` lets go of it."""


class _OtherPart:
    """A part that is no instance, whatever it holds."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    async def add(self, _data: bytes) -> None:
        """Left out."""

    async def end(self) -> None:
        await self._batch.fail(UnsupportedMedia("no part of this media type is stored", place="Content-Type"))

    def close(self) -> None:
        """There is nothing to let go of."""
