"""How a server is read: certificates, logins, redirects, and servers that stand still."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from bench.ports import free_port
from gateway.errors import NeedsPerson, Unavailable
from gateway.wire.dicomweb.querying import DicomWebReader
from gateway.wire.dicomweb.reading import LoginRefusedError, WebReader
from gateway.wire.http import Connect
from gateway.wire.oauth.authorization import Basic, Bearer
from gateway.wire.tls import client_context, server_context
from tests.peers.openssl import Authority
from tests.peers.qido import HeldStudy, qido_archive

HELD = [HeldStudy("1.2.3", "20260320")]


async def number_of(server: WebReader) -> int:
    return len((await DicomWebReader(server).search("studies", [("limit", "9")])).results)


async def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("archive")
    async with qido_archive(held=HELD, tls=server_context(server.certificate, server.key, None, None)) as archive:
        known = Connect(5, client_context(authority.certificate, None, None, None))
        async with WebReader(archive.url, known) as reader:
            assert await number_of(reader) == 1
        async with WebReader(archive.url, Connect(5)) as stranger:
            with pytest.raises(Unavailable, match="certificate"):
                await number_of(stranger)


async def test_a_login_is_shown_and_a_token_is_read_again(tmp_path: Path) -> None:
    async with qido_archive(held=HELD, login="Basic YW5uYTpwdw==") as archive:
        async with WebReader(archive.url, Connect(5), Basic("anna", "pw")) as reader:
            assert await number_of(reader) == 1
        async with WebReader(archive.url, Connect(5)) as stranger:
            with pytest.raises(LoginRefusedError, match="check auth"):
                await number_of(stranger)
        file = tmp_path / "token"
        file.write_text("old\n", encoding="utf-8")
        async with WebReader(archive.url, Connect(5), Bearer(file)) as reader:
            archive.login = "Bearer old"
            assert await number_of(reader) == 1
            file.write_text("newer\n", encoding="utf-8")
            archive.login = "Bearer newer"
            assert await number_of(reader) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with qido_archive(held=HELD) as elsewhere:
        there = web.Response(status=307, headers={"Location": f"{elsewhere.url}/studies"})
        async with qido_archive(next_answers=[there]) as archive, WebReader(archive.url, Connect(5)) as reader:
            with pytest.raises(NeedsPerson, match="at another address; check url"):
                await number_of(reader)
        assert not elsewhere.queries


async def test_a_server_that_stands_still_is_away() -> None:
    async with WebReader(f"http://127.0.0.1:{free_port()}", Connect(5)) as nobody:
        with pytest.raises(Unavailable, match="no answer"):
            await number_of(nobody)
    over = asyncio.Event()

    async def half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[{")
        await over.wait()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, WebReader(f"http://127.0.0.1:{port}", Connect(0.2)) as reader:
        with pytest.raises(Unavailable, match="no answer"):
            await number_of(reader)
        over.set()
