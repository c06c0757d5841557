"""The transaction Store: a body of any length, read as it comes; every instance that was whole is answered for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiohttp import hdrs, web

from gateway.errors import GatewayError, Malformed, UnsupportedType
from gateway.journey.study_arrival.incoming import Sender
from gateway.long_work import beside
from gateway.web.connections import body_goes_on
from gateway.web.dicomweb.context import CONTEXT, base_uri, study_uids_of
from gateway.web.dicomweb.login import SCANNER, check_service
from gateway.web.dicomweb.representations import body_of, preferred, writer
from gateway.web.dicomweb.storing.batch import Batch
from gateway.web.dicomweb.storing.parts import TYPES, StoreParts
from gateway.web.dicomweb.storing.response import Outcome, response_module, status_of
from gateway.web.dicomweb.study_addresses import STUDIES
from gateway.web.failures import RETRY_AFTER_SECONDS
from gateway.wire.dicomweb.media_types import DICOM, JSON_TYPES, MULTIPART, ONE_RESULT, MediaType, parsed
from gateway.wire.dicomweb.parts import Event, PartBegins, PartEnds, PartsReader
from gateway.wire.dimse.policy import STORAGE

REQUEST_TYPES: Final = tuple(str(MediaType(MULTIPART, one)) for one in TYPES)
PROGRESS_BYTES: Final = 256 * 1024
"""So much of a body comes within `http.body_seconds`, or it is too slow."""
_UNAVAILABLE: Final = 503


async def store(request: web.Request) -> web.Response:
    """Instances are kept: 200 when all are, 202 when some are, each with what became of it."""
    check_service(request, STORAGE)
    media_type, *_ = preferred(request, ONE_RESULT) if hdrs.ACCEPT in request.headers else JSON_TYPES
    study_uid = study_uids_of(request).get("study", "")
    outcomes = await _stored(request, study_uid)
    written = await beside(lambda: writer(media_type)(response_module(outcomes, _retrieved_at(request))))
    status = status_of(outcomes)
    # Without a parameter: dicomweb-client reads an answer of this very Content-Type, and no other.
    headers = {hdrs.CONTENT_TYPE: media_type.name}
    if status == _UNAVAILABLE:
        headers[hdrs.RETRY_AFTER] = str(RETRY_AFTER_SECONDS)
    return web.Response(status=status, body=written, headers=headers)


def _retrieved_at(request: web.Request) -> str:
    """The address below which instances are retrieved; empty: they are not, or not with their pixels."""
    served = request.app[CONTEXT].studies
    return f"{base_uri(request)}{STUDIES}" if served is not None and served.path_of is not None else ""


async def _stored(request: web.Request, study_uid: str) -> list[Outcome]:
    """What became of each instance. Raises what keeps the request from being read where nothing of it was stored."""
    storing = request.app[CONTEXT].storing
    assert storing is not None
    of_type, read = _reader_of(request)
    batch = Batch(storing.station, storing.turns, Sender(request[SCANNER], request.remote or ""), study_uid)
    parts = StoreParts(storing.room, batch, of_type)
    fault: GatewayError | None = None
    try:
        try:
            async for data in _pieces(request, storing.max_bytes):
                for event in read.feed(data):
                    await parts.take(event)
            for event in read.finish():
                await parts.take(event)
            await parts.finish()
        except GatewayError as error:
            fault = error
        outcomes = await batch.results()
        if fault is not None and all(one.error is not None for one in outcomes):
            raise fault
    finally:
        parts.close()
        await batch.end()
    if not outcomes:
        raise Malformed("no instance; send each as a part", place="body")
    return [*outcomes, *([Outcome(error=fault)] if fault is not None else [])]


class _WholeBody:
    """A body that is one file."""

    def __init__(self) -> None:
        self._has_begun = False

    def feed(self, data: bytes) -> Iterator[Event]:
        if not self._has_begun:
            self._has_begun = True
            yield PartBegins({})
        yield data

    def finish(self) -> Iterator[Event]:
        if self._has_begun:
            yield PartEnds()


def _reader_of(request: web.Request) -> tuple[str, PartsReader | _WholeBody]:
    """Media type of the parts, and what reads them. Raises `UnsupportedType`, or `Malformed` without a boundary."""
    name, parameters = parsed(request.headers.get(hdrs.CONTENT_TYPE, ""))
    if name == DICOM:
        return DICOM, _WholeBody()
    of_type = parsed(parameters.get("type", DICOM))[0]
    if name != MULTIPART or of_type not in TYPES:
        raise UnsupportedType(f"send {' or '.join((DICOM, *REQUEST_TYPES))}", place=hdrs.CONTENT_TYPE)
    return of_type, PartsReader(parameters.get("boundary", ""))


async def _pieces(request: web.Request, max_bytes: int) -> AsyncIterator[bytes]:
    """Raises as `body_of`, or 408 for a body that comes too slowly."""
    seen = 0
    async for data in body_of(request, max_bytes):
        seen += len(data)
        if seen >= PROGRESS_BYTES:
            seen = 0
            body_goes_on(request)
        yield data
