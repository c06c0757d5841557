"""Instances to archives with STOW-RS: Orthanc's plugin, and one that answers as a test says."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydicom import dcmread
from pydicom.data import get_testdata_file

from bench.ports import free_port
from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.dicomweb.store_answer import Listed
from gateway.wire.dicomweb.storing import StowClient
from gateway.wire.oauth.authorization import Basic, Bearer
from gateway.wire.part10_file import Part10File
from gateway.wire.tls import client_context, server_context
from tests.peers.openssl import Authority
from tests.peers.orthanc import Orthanc
from tests.peers.stow import StowArchive, failed, listing, nothing_listed, plain, stored, stow_archive


def read_part10(name: str) -> Part10File:
    path = Path(str(get_testdata_file(name)))
    meta = dcmread(path, stop_before_pixels=True).file_meta
    return Part10File(path, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID)


FILES = [read_part10(one) for one in ("CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")]
CT = FILES[0]


def with_mark(response: web.Response) -> web.Response:
    """Behind a byte order mark."""
    assert isinstance(response.body, bytes)
    return web.Response(body=b"\xef\xbb\xbf" + response.body, content_type=response.content_type)


@asynccontextmanager
async def client(archive: StowArchive, **options: Any) -> AsyncIterator[StowClient]:
    async with StowClient(archive.url, **{"timeout_seconds": 60, **options}) as made:
        yield made


async def test_orthanc_has_each_file_as_it_is(orthanc_web: Orthanc) -> None:
    async with StowClient(orthanc_web.dicomweb, timeout_seconds=60) as archive:
        answers = [await archive.store(file) for file in FILES]
    assert [(one.http_status, one.listed) for one in answers] == [(200, Listed.STORED)] * 4
    assert sorted(await orthanc_web.files()) == sorted(one.path.read_bytes() for one in FILES)


async def test_what_orthanc_cannot_read_is_listed_nowhere(orthanc_web: Orthanc, tmp_path: Path) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(CT.path.read_bytes()[:2000])
    async with StowClient(orthanc_web.dicomweb, timeout_seconds=60) as archive:
        answer = await archive.store(Part10File(broken, CT.sop_class_uid, CT.sop_instance_uid, "1.2"))
    assert (answer.http_status, answer.listed, answer.text) == (400, Listed.NOWHERE, "Bad Request")


async def test_a_request_is_one_part_without_parameters_of_known_length() -> None:
    async with stow_archive() as archive, client(archive) as sender:
        await sender.store(CT)
    [request] = archive.requests
    assert request.part_type == "application/dicom"
    assert request.content == CT.path.read_bytes()
    assert "Transfer-Encoding" not in request.headers
    assert int(request.headers["Content-Length"]) > len(request.content)
    assert request.headers["Content-Type"].startswith('multipart/related; type="application/dicom"; boundary=')
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("reply", "status", "listed", "reason"),
    [
        (stored(), 200, Listed.STORED, None),
        (stored(202, 0xB000), 202, Listed.STORED, 0xB000),
        (failed(409, 0xA700), 409, Listed.FAILED, 0xA700),
        (failed(200, 0xC000), 200, Listed.FAILED, 0xC000),
        (failed(409), 409, Listed.FAILED, None),
        (listing(409, "0008119A", "00081197", 0xA900), 409, Listed.FAILED, 0xA900),
        (lambda uid: stored()("1.2.3"), 200, Listed.NOWHERE, None),
        (lambda uid: stored()(f"{uid}\0"), 200, Listed.STORED, None),
        (lambda uid: with_mark(stored()(uid)), 200, Listed.STORED, None),
        (failed(409, 0x10000), 409, Listed.FAILED, None),
        (listing(409, "00081198", "00081197", "7" * 5000), 409, Listed.FAILED, None),
        (nothing_listed(), 200, Listed.NOWHERE, None),
        (plain(200), 200, Listed.NOWHERE, None),
        (plain(200, "<html><body>a portal</body></html>"), 200, Listed.NOWHERE, None),
        (plain(503, "later"), 503, Listed.NOWHERE, None),
    ],
)
async def test_what_is_read_from_answers(reply: Any, status: int, listed: Listed, reason: int | None) -> None:
    async with stow_archive() as archive, client(archive) as sender:
        archive.answers[CT.sop_instance_uid] = [reply]
        answer = await sender.store(CT)
    assert (answer.http_status, answer.listed, answer.reason) == (status, listed, reason)


async def test_an_answer_in_xml_is_read_too() -> None:
    body = f"""<?xml version="1.0"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
        <DicomAttribute tag="00081198" vr="SQ"><Item number="1">
        <DicomAttribute tag="00081155" vr="UI"><Value number="1">{CT.sop_instance_uid}</Value></DicomAttribute>
        <DicomAttribute tag="00081197" vr="US"><Value number="1">272</Value></DicomAttribute>
        </Item></DicomAttribute></NativeDicomModel>"""
    async with stow_archive() as archive, client(archive) as sender:
        archive.answers[CT.sop_instance_uid] = [plain(409, body)]
        answer = await sender.store(CT)
    assert (answer.listed, answer.reason) == (Listed.FAILED, 0x0110)


async def test_the_words_and_the_wish_of_an_archive_are_kept() -> None:
    async with stow_archive() as archive, client(archive) as sender:
        archive.answers[CT.sop_instance_uid] = [
            plain(503, "the disk\nis full", **{"Retry-After": "7"}),
            plain(400, "", Warning='299 archive "no patient"'),
        ]
        first, second = await sender.store(CT), await sender.store(CT)
    assert (first.text, first.retry_after) == ("the disk is full", 7.0)
    assert second.text == '299 archive "no patient"'


async def test_a_token_that_was_renewed_is_shown_again() -> None:
    class Renewed(Bearer):
        value = "old"

        async def headers(self) -> Mapping[str, str]:
            return {"Authorization": f"Bearer {self.value}"}

        def refused(self, headers: Mapping[str, str]) -> bool:
            self.value = "new"
            return True

    async with stow_archive() as archive, client(archive, authorization=Renewed("")) as sender:
        archive.token = "new"
        assert (await sender.store(CT)).listed is Listed.STORED
        assert await sender.options() == 204
    async with stow_archive() as archive, client(archive, authorization=Basic("user", "wrong")) as sender:
        archive.token = "token"
        assert (await sender.store(CT)).http_status == 401


async def test_a_redirect_is_not_followed() -> None:
    async with stow_archive() as other, stow_archive() as archive, client(archive) as sender:
        archive.answers[CT.sop_instance_uid] = [plain(307, Location=f"{other.url}/studies")]
        answer = await sender.store(CT)
    assert (answer.http_status, answer.listed, other.came) == (307, Listed.NOWHERE, [])


async def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("archive")
    async with stow_archive(tls=server_context(server.certificate, server.key, None, None)) as archive:
        async with client(archive, ssl=client_context(authority.certificate, None, None, None)) as sender:
            assert (await sender.store(CT)).listed is Listed.STORED
        async with client(archive) as stranger:
            with pytest.raises(Unavailable, match="certificate"):
                await stranger.store(CT)


async def test_no_answer_and_no_file() -> None:
    async with StowClient(f"http://127.0.0.1:{free_port()}/dicom-web", timeout_seconds=60) as nobody:
        with pytest.raises(Unavailable, match="no answer"):
            await nobody.store(CT)
        with pytest.raises(Unavailable, match="no answer"):
            await nobody.options()
    async with stow_archive() as archive, client(archive) as sender:
        with pytest.raises(NeedsPerson, match="cannot be read"):
            await sender.store(Part10File(Path("nowhere"), CT.sop_class_uid, CT.sop_instance_uid, "1.2"))


@asynccontextmanager
async def stalled(*, reads: bool) -> AsyncIterator[str]:
    """An archive that answers nothing, and `reads` the body or nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while reads and await reader.read(65536):
            pass
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()


def large(folder: Path, megabytes: int) -> Part10File:
    """A file of so many megabytes, most of which are a hole."""
    path = folder / "large.dcm"
    path.write_bytes(CT.path.read_bytes())
    with path.open("r+b") as file:
        file.truncate(megabytes << 20)
    return Part10File(path, CT.sop_class_uid, CT.sop_instance_uid, CT.transfer_syntax_uid)


@pytest.mark.parametrize("reads", [True, False])
async def test_an_archive_that_stalls_is_left(tmp_path: Path, reads: bool) -> None:
    file = CT if reads else large(tmp_path, 64)
    async with stalled(reads=reads) as url, StowClient(url, timeout_seconds=0.3) as sender:
        with pytest.raises(Unavailable, match="no answer"):
            await sender.store(file)


async def test_a_long_file_is_never_in_memory(tmp_path: Path) -> None:
    """The server is one that drops what it reads: aiohttp's would hold the body."""
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    size = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal size
        head = await reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while left:
            piece = await reader.read(65536)
            left -= len(piece)
            size += len(piece)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    tracemalloc.start()
    try:
        async with StowClient(url, timeout_seconds=60) as sender:
            assert (await sender.store(large(tmp_path, 64))).http_status == 400
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
        server.close()
    assert size > 64 << 20
