"""Search and Retrieve Metadata transactions of DICOMweb (QIDO-RS, WADO-RS; PS3.18 10.6, 10.4) as user agent.

What a server answers is read tolerantly: 204 and an empty array both are nothing, an object in place of an array is its
only result, and an attribute that cannot be read is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from gateway.errors import GatewayError, Malformed, NeedsPerson, TooLarge, Unavailable
from gateway.wire.dicomweb import dicom_json, native_xml
from gateway.wire.dicomweb.dataset import Dataset
from gateway.wire.dicomweb.json_stream import JsonArray
from gateway.wire.dicomweb.media_types import JSON, MULTIPART, PLAIN_JSON, XML
from gateway.wire.http import RETRYABLE, Connect, no_answer, read, retry_after_of
from gateway.wire.oauth.authorization import Anonymous, Authorization, with_login

MOST_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of a result, or of an instance: what is longer is no header."""
MOST_RESULTS: Final = 20_000
"""Of one answer to a search: a server that gives more ignores `limit`."""
_READ_BYTES: Final = 65_536
_ACCEPT: Final = f'{JSON}, {PLAIN_JSON};q=0.9, {MULTIPART}; type="{XML}";q=0.5'
Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer to a search."""

    results: Sequence[Dataset]
    has_more: bool
    """The server states that there are more (Warning 299; PS3.18 8.3.4.4.1)."""
    faults: int = 0
    """Attributes that could not be read."""


class DicomWebReader:
    """One origin server. `async with`; safe for many requests at once.

    `connect.timeout_seconds`: for connecting, and for each piece of an answer. Raises `Unavailable` for what may pass
    and for a login that is refused, `TooLarge` where the server refuses a search for its size, `NeedsPerson` for other
    refusals, `Malformed` for what is no DICOM JSON.
    """

    def __init__(self, base: str, connect: Connect, authorization: Authorization | None = None) -> None:
        self.base = base.rstrip("/")
        self._connect = connect
        self._authorization = authorization or Anonymous()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        seconds = self._connect.timeout_seconds
        self._session = self._connect.session(aiohttp.ClientTimeout(total=None, connect=seconds, sock_read=seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def search(self, path: str, parameters: Parameters) -> Found:
        """Search, such as for `studies`."""
        faults: list[Malformed] = []
        results: list[Dataset] = []
        async with self._answer(path, parameters) as response:
            if response is None:
                return Found((), has_more=False)
            async for one in _data_sets(response, faults):
                results.append(one)
                if len(results) > MOST_RESULTS:
                    raise TooLarge(f"more than {MOST_RESULTS} results: the server ignores limit", place=self._at(path))
            return Found(results, _has_more(response.headers.getall("Warning", [])), len(faults))

    async def metadata(self, study_uid: str) -> AsyncGenerator[Dataset]:
        """All instances of a study, as they arrive; none: the server does not have it."""
        async with self._answer(f"studies/{study_uid}/metadata", ()) as response:
            if response is not None:
                async for one in _data_sets(response, []):
                    yield one

    @asynccontextmanager
    async def _answer(self, path: str, parameters: Parameters) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """The answer to a GET; None: there is nothing (204, of a resource below studies 404 or 410)."""
        place = self._at(path)
        address = URL(place, encoded=True).with_query(list(parameters))

        async def once(shown: Mapping[str, str]) -> aiohttp.ClientResponse:
            assert self._session is not None, "DicomWebReader is used outside of 'async with'"
            # A redirect would carry the token to another origin.
            answer = await self._session.get(address, headers={"Accept": _ACCEPT, **shown}, allow_redirects=False)
            if answer.status == 401:
                answer.release()
            return answer

        try:
            response = await with_login(self._authorization, once, lambda answer: answer.status == 401)
            async with response:
                is_absent = response.status in (404, 410) and "/" in path
                if response.status == 204 or is_absent:
                    yield None
                elif response.status == 200:
                    yield response
                else:
                    raise await _fault(response, place)
        except TimeoutError as error:
            raise Unavailable(f"no answer ({type(error).__name__})", place=place) from error
        except (aiohttp.ClientError, OSError) as error:
            raise no_answer(error, place) from error

    def _at(self, path: str) -> str:
        return f"{self.base}/{path}"


async def _data_sets(response: aiohttp.ClientResponse, faults: list[Malformed]) -> AsyncIterator[Dataset]:
    if response.content_type == MULTIPART:
        async for one in _parts(response, faults):
            yield one
        return
    array = JsonArray(MOST_OBJECT_BYTES)
    async for piece in response.content.iter_chunked(_READ_BYTES):
        for found in array.feed(piece):
            yield dicom_json.read_tolerantly(found, faults)
        await asyncio.sleep(0)
    for found in array.end():
        yield dicom_json.read_tolerantly(found, faults)


async def _parts(response: aiohttp.ClientResponse, faults: list[Malformed]) -> AsyncIterator[Dataset]:
    """A data set for each part of XML, or the array of each part of JSON."""
    async for part in aiohttp.MultipartReader.from_response(response):
        if not isinstance(part, aiohttp.BodyPartReader):
            continue
        content = bytearray()
        while piece := await part.read_chunk(_READ_BYTES):
            content += piece
            if len(content) > MOST_OBJECT_BYTES:
                raise Malformed(f"a part of more than {MOST_OBJECT_BYTES} bytes", place="body")
        if "xml" in part.headers.get("Content-Type", ""):
            yield native_xml.read(bytes(content))
            continue
        array = JsonArray(MOST_OBJECT_BYTES)
        for found in (*array.feed(bytes(content)), *array.end()):
            yield dicom_json.read_tolerantly(found, faults)


def _has_more(warnings: Sequence[str]) -> bool:
    return any(one.strip().startswith("299") and "additional results" in one for one in warnings)


async def _fault(response: aiohttp.ClientResponse, place: str) -> GatewayError:
    status = response.status
    if status in (401, 403):
        # Not the study's fault: all work waits until the login is mended.
        return Unavailable(f"does not let us in (HTTP {status}): check auth", place=place)
    if status in RETRYABLE:
        return Unavailable(f"HTTP {status}", place=place, retry_after=retry_after_of(response))
    if status == 413:
        return TooLarge("the server refuses a search for its size (HTTP 413)", place=place)
    cure = _CURES.get(status, "")
    text = " ".join((await read(response, 2_000)).decode("utf-8", "replace")[:200].split())
    fault = NeedsPerson(f"HTTP {status}{cure}", place=place)
    fault.details = {"status": status, "text": text}
    return fault


_CURES: Final = {
    404: ": no DICOMweb server at this address; check url",
    406: ": the server writes neither DICOM JSON nor XML",
    301: ": the server is at another address; check url",
    302: ": the server is at another address, or wants a login of people; check url and auth",
    307: ": the server is at another address; check url",
    308: ": the server is at another address; check url",
}
