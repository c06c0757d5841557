"""Search and Retrieve Metadata transactions of DICOMweb (QIDO-RS, WADO-RS; PS3.18 10.6, 10.4) as user agent.

What a server answers is read tolerantly: 204 and an empty array both are nothing, an object in place of an array is its
only result, and an attribute that cannot be read is left out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs

from gateway.errors import Malformed, TooLarge, Unavailable
from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dicomweb.dataset import Dataset
from gateway.wire.dicomweb.json_stream import JsonArray
from gateway.wire.dicomweb.media_types import JSON, MULTIPART, PLAIN_JSON, XML
from gateway.wire.dicomweb.multipart import BodyPart, WholeParts
from gateway.wire.dicomweb.reading import Parameters, WebReader

MOST_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of a result, or of an instance: what is longer is no header."""
MOST_RESULTS: Final = 20_000
"""Of one answer to a search: a server that gives more ignores `limit`."""
MOST_SEARCH_BYTES: Final = 256 * 1024 * 1024
"""Of one answer to a search, as inflated: it is held in memory."""
MOST_METADATA_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of the metadata of a study, as inflated."""
MOST_SECONDS: Final = 3_600.0
"""Of an answer: one that drips must not hold up the next question for ever."""
_READ_BYTES: Final = 65_536
_ACCEPT: Final = f'{JSON}, {PLAIN_JSON};q=0.9, {MULTIPART}; type="{XML}";q=0.5'


@dataclass(frozen=True, slots=True)
class Found:
    """An answer to a search."""

    results: Sequence[Dataset]
    has_more: bool
    """The server states that there are more (Warning 299; PS3.18 8.3.4.4.1)."""
    faults: int = 0
    """Attributes that could not be read."""


class DicomWebReader:
    """An origin server. Raises as `WebReader`, and `Malformed` for what is no DICOM JSON."""

    def __init__(self, server: WebReader) -> None:
        self.server = server

    async def search(self, path: str, parameters: Parameters, *, may_lack: bool = False) -> Found:
        """Search, such as for `studies`. `may_lack`: 404 is no fault, and nothing."""
        faults: list[Malformed] = []
        results: list[Dataset] = []
        async with self.server.get(path, parameters, accept=_ACCEPT, may_lack=may_lack) as response:
            if response is None:
                return Found((), has_more=False)
            async for one in _data_sets(response, faults, _Budget(MOST_SEARCH_BYTES, self.server.at(path))):
                results.append(one)
                if len(results) > MOST_RESULTS:
                    raise TooLarge(
                        f"more than {MOST_RESULTS} results: the server ignores limit", place=self.server.at(path)
                    )
            return Found(results, _has_more(response.headers.getall("Warning", [])), len(faults))

    async def search_below(self, study_uid: str, level: str, parameters: Parameters) -> Found:
        """Search for `series` or `instances` of a study."""
        return await self.search(f"studies/{quote(study_uid, safe='')}/{level}", parameters, may_lack=True)

    async def metadata(self, study_uid: str) -> AsyncGenerator[Dataset]:
        """All instances of a study, as they arrive; none: the server does not have it."""
        path = f"studies/{quote(study_uid, safe='')}/metadata"
        async with self.server.get(path, accept=_ACCEPT, may_lack=True) as response:
            if response is not None:
                async for one in _data_sets(response, [], _Budget(MOST_METADATA_BYTES, self.server.at(path))):
                    yield one


class _Budget:
    """How much an answer may take; `spend` raises `TooLarge` and `Unavailable` beyond that."""

    def __init__(self, most: int, place: str) -> None:
        self._most = self._left = most
        self._place = place
        self._until = time.monotonic() + MOST_SECONDS

    def spend(self, count: int) -> None:
        """Account for so many bytes more."""
        self._left -= count
        if self._left < 0:
            raise TooLarge(f"an answer of more than {self._most} bytes", place=self._place)
        if time.monotonic() > self._until:
            raise Unavailable(f"the answer is not at its end after {MOST_SECONDS:g} s", place=self._place)


async def _data_sets(
    response: aiohttp.ClientResponse, faults: list[Malformed], budget: _Budget
) -> AsyncIterator[Dataset]:
    if response.content_type == MULTIPART:
        async for one in _parts(response, faults, budget):
            yield one
        return
    array = JsonArray(MOST_OBJECT_BYTES)
    async for piece in response.content.iter_chunked(_READ_BYTES):
        budget.spend(len(piece))
        for found in array.feed(piece):
            yield dicom_json.read_tolerantly(found, faults)
        await asyncio.sleep(0)
    for found in array.end():
        yield dicom_json.read_tolerantly(found, faults)


async def _parts(response: aiohttp.ClientResponse, faults: list[Malformed], budget: _Budget) -> AsyncIterator[Dataset]:
    """A data set for each part of XML, or the array of each part of JSON."""
    parts = WholeParts(response.headers.get(hdrs.CONTENT_TYPE, ""), MOST_OBJECT_BYTES)
    async for piece in response.content.iter_chunked(_READ_BYTES):
        budget.spend(len(piece))
        for part in parts.feed(piece):
            for one in _of_part(part, faults):
                yield one
        await asyncio.sleep(0)
    for part in parts.finish():
        for one in _of_part(part, faults):
            yield one


def _of_part(part: BodyPart, faults: list[Malformed]) -> Iterator[Dataset]:
    if "xml" in part.content_type:
        yield native_xml.read(part.content)
        return
    array = JsonArray(MOST_OBJECT_BYTES)
    for found in (*array.feed(part.content), *array.end()):
        yield dicom_json.read_tolerantly(found, faults)


def _has_more(warnings: Sequence[str]) -> bool:
    return any(one.strip().startswith("299") and "additional results" in one for one in warnings)
