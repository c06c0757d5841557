"""Metadata of a study, a series or an instance (PS3.18 10.4, WADO-RS): the kept headers, sent as they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import hdrs, web

from gateway.long_work import beside, with_pauses
from gateway.operations.audit.access import looked_at, subjects_of
from gateway.operations.study_retrieval import Located, Target, locate, pages
from gateway.store import served_instances
from gateway.store.served_instances import HeaderRow
from gateway.web.dicomweb.context import ServedStudies, studies_of, study_uids_of
from gateway.web.dicomweb.header_items import item_of
from gateway.web.dicomweb.representations import preferred, writer
from gateway.web.dicomweb.search_response import in_utf_8
from gateway.web.dicomweb.streaming import sending
from gateway.web.login import person_of
from gateway.wire.dicomweb.media_types import METADATA, MULTIPART, XML, MediaType
from gateway.wire.dicomweb.multipart import PART_END, Writer
from gateway.worklist.items import Element, Stored


def target_of(request: web.Request) -> Target:
    """What the path names. Raises `InvalidValue`."""
    return Target(*study_uids_of(request).values())


async def retrieve_metadata(request: web.Request) -> web.StreamResponse:
    """The headers of all instances of the path, page by page: an array, or a document for each."""
    studies = studies_of(request)
    media_type, *_ = preferred(request, METADATA)
    target = target_of(request)
    located = await studies.store.read(partial(locate, target=target))
    subjects = subjects_of({"study_uid": target.study_uid, "patient_id": located.patient_id})
    studies.note(looked_at(person_of(request), request.path, subjects, studies.clock()))
    stream = _Stream(media_type)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: stream.content_type})
    async with sending(request, response):
        await _send(studies, located, stream, response)
    return response


async def _send(studies: ServedStudies, located: Located, stream: _Stream, response: web.StreamResponse) -> None:
    await response.write(stream.begin)
    async for series_uid, rows in pages(studies.store, located, served_instances.headers):
        make = partial(_written, rows, (located.target.study_uid, series_uid), stream.write)
        for written in await beside(make):
            await response.write(stream.part(written))
    await response.write(stream.end)


class _Stream:
    """How results are put one behind another in a media type."""

    def __init__(self, media_type: MediaType) -> None:
        self.write = writer(media_type)
        is_multipart = media_type.name == MULTIPART
        self._parts = Writer(media_type.type) if is_multipart else None
        self._each_apart = media_type.type == XML
        self.content_type = self._parts.content_type if self._parts is not None else media_type.name
        self._head = self._parts.head(media_type.type) if self._parts is not None else b""
        self.begin = b"" if self._each_apart else self._head + b"["
        self.end = self._parts.end if self._parts is not None else b"]"
        if is_multipart and not self._each_apart:
            self.end = b"]" + PART_END + self.end
        self._between = b""

    def part(self, written: bytes) -> bytes:
        """A result, with what stands before it."""
        if self._each_apart:
            return self._head + written + PART_END
        between, self._between = self._between, b","
        return between + written


def _written(
    rows: Sequence[HeaderRow], above: tuple[str, str], write: Callable[[dict[int, Element]], bytes]
) -> list[bytes]:
    return [write(dict(in_utf_8(_item(row, *above)))) for row in with_pauses(rows)]


def _item(row: HeaderRow, study_uid: str, series_uid: str) -> dict[int, Element]:
    """The header; of one that is broken, what was read when it came."""
    uids = {
        "StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid, "SOPInstanceUID": row.sop_uid,
        "SOPClassUID": row.sop_class_uid,
    }  # fmt: skip
    stated = item_of(row.header, row.transfer_syntax_uid) or dict(Stored(row.attributes))
    return {**stated, **Stored(uids)}
