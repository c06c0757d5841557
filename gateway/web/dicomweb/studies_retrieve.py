"""Retrieve of a study, a series or an instance (PS3.18 10.4, WADO-RS): the kept files, as they lie in the spool."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import hdrs, web

from gateway.errors import Gone, UnknownKey
from gateway.operations.audit.access import retrieved, subjects_of
from gateway.operations.pictures import MISSING, NOT_KEPT
from gateway.operations.study_retrieval import Files, files_of, pages
from gateway.store import served_instances
from gateway.store.served_instances import FileRow
from gateway.web.dicomweb.context import ServedStudies, base_uri, studies_of
from gateway.web.dicomweb.representations import accepted, preferred
from gateway.web.dicomweb.streaming import sending
from gateway.web.dicomweb.studies_metadata import target_of
from gateway.web.dicomweb.study_addresses import STUDIES, address_of
from gateway.web.failures import NotAcceptable
from gateway.web.login import person_of
from gateway.wire.dicomweb import warnings
from gateway.wire.dicomweb.media_types import ANY, DICOM, INSTANCES, MULTIPART, ONE_INSTANCE
from gateway.wire.dicomweb.multipart import PART_END, Writer

_CHUNK: Final = 512 * 1024
NOT_IN_THE_SYNTAX: Final = "they are kept in another transfer syntax, and nothing is transcoded here"


async def retrieve_instances(request: web.Request) -> web.StreamResponse:
    """The files of all instances of the path whose pixels are here, in the transfer syntax in which they came."""
    studies = studies_of(request)
    target = target_of(request)
    offered = ONE_INSTANCE if target.sop_uid else INSTANCES
    media_type, *_ = preferred(request, offered)
    if studies.path_of is None:
        raise UnknownKey(NOT_KEPT, place="pixels")
    path_of = studies.path_of
    files = await studies.store.read(partial(files_of, target=target, is_there=lambda file: path_of(file).exists()))
    syntaxes = _accepted(accepted(request).transfer_syntaxes(media_type), files)
    subjects = subjects_of({"study_uid": target.study_uid, "patient_id": files.located.patient_id})
    number = sum(files.kept[one] for one in syntaxes)
    studies.note(retrieved(person_of(request), request.path, subjects, number, studies.clock()))
    headers = [(hdrs.WARNING, warnings.warning(base_uri(request), text)) for text in _left_out(files, syntaxes)]
    if media_type.name == MULTIPART:
        return await _send_parts(request, studies, files, syntaxes, headers)
    return await _send_one(request, studies, files, headers)


def _accepted(wanted: frozenset[str], files: Files) -> frozenset[str]:
    """The transfer syntaxes of the files that are taken. Raises `NotAcceptable`."""
    held = frozenset(files.kept)
    taken = held if ANY in wanted else held & wanted
    if not taken:
        kept = ", ".join(sorted(held))
        raise NotAcceptable(f"{NOT_IN_THE_SYNTAX}: ask for transfer-syntax=* or {kept}", place=hdrs.ACCEPT)
    return taken


def _left_out(files: Files, syntaxes: frozenset[str]) -> list[str]:
    texts = [warnings.left_out(number, reason) for reason, number in sorted(files.absent.items())]
    other = sum(number for syntax, number in files.kept.items() if syntax not in syntaxes)
    return [*texts, warnings.left_out(other, NOT_IN_THE_SYNTAX)] if other else texts


async def _send_parts(
    request: web.Request,
    studies: ServedStudies,
    files: Files,
    syntaxes: frozenset[str],
    headers: Sequence[tuple[str, str]],
) -> web.StreamResponse:
    parts = Writer(DICOM)
    response = _response(parts.content_type, headers)
    locate = partial(address_of, f"{base_uri(request)}{STUDIES}", files.located.target.study_uid)
    left = sum(files.kept[one] for one in syntaxes)
    async with sending(request, response):
        async for series_uid, rows in pages(studies.store, files.located, served_instances.files):
            for row in rows:
                if row.is_kept and row.transfer_syntax_uid in syntaxes:
                    location = locate(series_uid, row.sop_uid)
                    left -= await _send_part(studies, row, parts.head(_type_of(row), location), response)
        if left > 0:
            raise Gone("files were deleted while they were retrieved", place="pixels")
        await response.write(parts.end)
    return response


async def _send_part(studies: ServedStudies, row: FileRow, head: bytes, response: web.StreamResponse) -> bool:
    """False: the file was counted before, and is gone since."""
    file = await _opened(studies, row)
    if file is None:
        return False
    with closing(file):
        await response.write(head)
        await _copy(file, response)
    await response.write(PART_END)
    return True


def _type_of(row: FileRow) -> str:
    return f"{DICOM}; transfer-syntax={row.transfer_syntax_uid}"


async def _send_one(
    request: web.Request, studies: ServedStudies, files: Files, headers: Sequence[tuple[str, str]]
) -> web.StreamResponse:
    async for _, rows in pages(studies.store, files.located, served_instances.files):
        for row in rows:
            file = await _opened(studies, row) if row.is_kept else None
            if file is None:
                raise UnknownKey(MISSING, place="pixels")
            response = _response(_type_of(row), headers)
            with closing(file):
                async with sending(request, response):
                    await _copy(file, response)
            return response
    raise UnknownKey(MISSING, place="pixels")


def _response(content_type: str, headers: Sequence[tuple[str, str]]) -> web.StreamResponse:
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: content_type})
    for name, value in headers:
        response.headers.add(name, value)
    return response


async def _opened(studies: ServedStudies, row: FileRow) -> BinaryIO | None:
    """The file; None: it is not there."""
    assert studies.path_of is not None
    assert row.file is not None
    path: Path = studies.path_of(row.file)
    try:
        return await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        return None


async def _copy(file: BinaryIO, response: web.StreamResponse) -> None:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        await response.write(chunk)
