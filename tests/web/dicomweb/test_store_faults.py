"""Store where something fails on the way: no room, a client that is gone or too slow, and where it is switched off."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gateway.assembly import process as app
from gateway.config.http import Http
from gateway.config.studies import SpoolSection, Stow, Studies
from gateway.store.schema import instances
from gateway.wire.dimse.data_set import MEMORY_BYTES
from tests.conftest import comes_true, until
from tests.journey.running import Start
from tests.web.dicomweb.client import JSON, XML, client_of
from tests.web.dicomweb.stow import MULTIPART, Stored, body, file_of, instance, part, stored

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What comes over the web is settled before the database."""
A, B = "2.25.97.1.1", "2.25.97.1.2"
FILE_A = file_of(instance(A))


def long(sop_uid: str) -> bytes:
    """Of twice what is kept in memory."""
    dataset = instance(sop_uid)
    dataset.PixelData = bytes(2 * MEMORY_BYTES)
    return file_of(dataset)


def forward(folder: Path, quota_bytes: float | None = None) -> Studies:
    quota = None if quota_bytes is None else quota_bytes / 10**9
    return Studies(storage="forward", spool=SpoolSection(folder=folder / "spool", free_gb=0.0, quota_gb=quota))


async def kept(gateway: app.Running) -> int:
    return int(await gateway.store.read(lambda one: one.execute(select(func.count(instances.c.id))).scalar_one()))


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*.dcm") if one.is_file()]


@sqlite
async def test_without_room_it_is_503_and_each_instance_is_named(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path, 2 * MEMORY_BYTES)) as gateway, client_of(gateway, "CT1") as client:
        answer = await client.ask("POST", "/studies", body=body(long(A), long(B)), content_type=MULTIPART, accept=JSON)
        assert stored(answer) == Stored(503, [], {A: 0xA700, B: 0xA700}, [])
        assert answer.headers["Retry-After"] == "5"
        answer = await client.ask("POST", "/studies", body=body(FILE_A, long(B)), content_type=MULTIPART, accept=XML)
        assert stored(answer) == Stored(202, [A], {B: 0xA700}, [])
        await until(lambda: len(files(tmp_path)) == 1)


async def begun(gateway: app.Running, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body is longer than what is sent of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
    address = f"127.0.0.1:{gateway.http_port}"
    head = f"POST /dicomweb/studies HTTP/1.1\r\nHost: {address}\r\nContent-Type: {MULTIPART}\r\n"
    writer.write(f"{head}Content-Length: {len(sent) + 10}\r\n\r\n".encode() + sent)
    return reader, writer


@sqlite
async def test_a_client_that_is_gone_leaves_what_was_whole_and_no_file_too_many(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path)) as gateway:
        _, writer = await begun(gateway, part(FILE_A) + part(long(B))[:-100])
        await comes_true(partial(kept, gateway))
        await until(lambda: len(files(tmp_path)) >= 2)
        writer.transport.abort()
        await until(lambda: len(files(tmp_path)) == 1)
        assert await kept(gateway) == 1


@sqlite
async def test_a_client_that_stops_is_408_and_what_was_whole_is_kept(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path), http=Http(port=0, body_seconds=0.5)) as gateway:
        reader, writer = await begun(gateway, part(FILE_A) + part(long(B))[:-100])
        async with asyncio.timeout(120):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()
        await until(lambda: len(files(tmp_path)) == 1)
        assert await kept(gateway) == 1


@sqlite
async def test_switched_off_it_is_not_served(start: Start) -> None:
    async with start(studies=Studies(stow=Stow(enabled=False))) as gateway, client_of(gateway, "CT1") as client:
        assert (await client.ask("POST", "/studies", body=body(FILE_A), content_type=MULTIPART)).status in (404, 405)
        assert b"10.5" not in (await client.ask("OPTIONS", "/")).body
    async with start() as gateway, client_of(gateway, "CT1") as client:
        assert b"10.5" in (await client.ask("OPTIONS", "/")).body


@sqlite
async def test_an_instance_without_a_database_is_503(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start() as gateway, client_of(gateway, "CT1") as client:
        await gateway.store.close()
        answer = await client.ask("POST", "/studies", body=body(FILE_A), content_type=MULTIPART, accept=JSON)
        assert answer.status == 503
