"""The HTTP side as the gateway serves it: how many connections, and how long each part of a request may take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from gateway.assembly.http import serve_http
from gateway.config.http import Http
from gateway.config.tree import Config
from gateway.web.connections import HttpConnection
from gateway.web.failures import failures
from tests.conftest import comes_true, until

HOST, OTHER = "127.0.0.1", "127.0.0.2"
HEAD = b"GET /page HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def application(held: asyncio.Event) -> web.Application:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="page")

    async def long(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 50_000_000)

    async def hold(request: web.Request) -> web.Response:
        await held.wait()
        return web.Response(text="held")

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    errors = failures(lambda text, _place, status: web.Response(text=text, status=status), {})
    inner = web.Application(middlewares=[errors])
    inner.router.add_get("/page", page)
    inner.router.add_get("/long", long)
    inner.router.add_get("/hold", hold)
    inner.router.add_post("/echo", echo)
    inner.router.add_post("/unread", page)
    return inner


class Served:
    def __init__(self, port: int, held: asyncio.Event) -> None:
        self.port = port
        self.held = held

    @asynccontextmanager
    async def connected(self, address: str = HOST) -> AsyncIterator[Streams]:
        async with asyncio.timeout(120):
            reader, writer = await asyncio.open_connection(HOST, self.port, local_addr=(address, 0))
            try:
                yield reader, writer
            finally:
                writer.transport.abort()


@asynccontextmanager
async def served(**http: Any) -> AsyncIterator[Served]:
    held = asyncio.Event()
    async with AsyncExitStack() as stack:
        port = await serve_http(Config(http=Http(port=0, **http)), application(held), stack)
        stack.callback(held.set)
        yield Served(port, held)


async def asked(streams: Streams, request: bytes = HEAD + b"\r\n") -> int:
    """The status of the answer, whose body is read as well."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(head.split()[1])


async def test_an_idle_connection_gives_way_and_one_at_work_does_not() -> None:
    async with served(max_connections=3) as http, http.connected() as idle, http.connected() as working:
        assert await asked(idle) == 200
        working[1].write(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with http.connected() as third, http.connected() as fourth:
            assert await asked(third) == 200
            assert await asked(fourth) == 200
            assert await idle[0].read() == b""
            http.held.set()
            assert (await working[0].readuntil(b"\r\n")).split()[1] == b"200"


async def test_who_gets_no_place_is_answered_503(caplog: pytest.LogCaptureFixture) -> None:
    async with served(max_connections=2) as http, http.connected() as one, http.connected(OTHER) as two:
        for _, writer in (one, two):
            writer.write(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with http.connected() as third:
            assert (await third[0].readuntil(b"\r\n")).split()[1] == b"503"
        http.held.set()
        assert (await one[0].readuntil(b"\r\n")).split()[1] == b"200"
    assert f"HTTP connection from {HOST} refused: too many connections" in caplog.text


async def test_one_address_leaves_places_to_others() -> None:
    async with served(max_connections=4) as http, AsyncExitStack() as stack:
        for _ in range(5):
            _, writer = await stack.enter_async_context(http.connected())
            writer.write(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with http.connected(OTHER) as other:
            assert await asked(other) == 200


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the server has taken from its sockets, piece by piece."""
    pieces: list[bytes] = []
    take = HttpConnection.data_received

    def data_received(self: HttpConnection, data: bytes) -> None:
        take(self, data)
        pieces.append(data)

    monkeypatch.setattr(HttpConnection, "data_received", data_received)
    return pieces


async def test_slow_heads_make_room_for_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    """Twelve unfinished requests on three places: a whole request is answered before the time of a head is over."""
    async with served(max_connections=3, head_seconds=30) as http, AsyncExitStack() as stack:
        for _ in range(12):
            _, writer = await stack.enter_async_context(http.connected())
            writer.write(HEAD)
        await comes_true(lambda: status_of_another(http), lambda status: status == 200)
    assert "its head took too long" not in caplog.text


async def status_of_another(http: Served) -> int:
    """What a whole request on a connection of its own is answered, which may be that there is no place."""
    async with http.connected() as (reader, writer):
        writer.write(HEAD + b"\r\n")
        return int((await reader.readuntil(b"\r\n")).split()[1])


@pytest.mark.parametrize("beginning", [HEAD, HEAD + b"X-Slow: ", b"\r\n"])
async def test_a_head_that_takes_too_long_is_answered_408(beginning: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served(head_seconds=0.3) as http:
        async with http.connected() as (reader, writer):
            writer.write(beginning)
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        async with http.connected() as (reader, writer):
            assert await asked((reader, writer)) == 200
            writer.write(beginning)
            assert (await reader.read()).startswith(b"HTTP/1.1 408 "), "of a further request too"
    assert f"HTTP connection from {HOST} ended: its head took too long" in caplog.text


async def test_a_head_in_pieces_has_one_time_for_all(caplog: pytest.LogCaptureFixture) -> None:
    async with served(head_seconds=0.4) as http, http.connected() as (_, writer):
        writer.write(HEAD)

        def is_cut() -> bool:
            writer.write(b"X: y\r\n")
            return "its head took too long" in caplog.text

        await until(is_cut)


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with served(head_seconds=0.2) as http, http.connected() as (reader, _):
        assert await reader.read() == b""


@pytest.mark.parametrize("path", [b"/echo", b"/unread"])
async def test_a_body_that_takes_too_long_is_answered(path: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served(body_seconds=0.3, head_seconds=0.5) as http, http.connected() as (reader, writer):
        writer.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nabc" % path)
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 " if path == b"/echo" else b"HTTP/1.1 200 ")
    assert ("its body took too long" in caplog.text) == (path == b"/echo")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_peer_that_does_not_read_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    async with served(body_seconds=0.3) as http, http.connected() as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: "its answer took too long" in caplog.text)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nabc\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabcdef\r\n"),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", b"abcde"),
        (POST + b"Content-Length: abc\r\n", b"\r\n"),
        (b"GET /page\x00 HTTP/1.1\r\n", b"\r\n"),
        (b"GET /page HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 10_000, b"\r\n"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_request_that_is_no_http_is_a_quiet_400(
    head: bytes, body: bytes, at_once: bool, received: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as http, http.connected() as (reader, writer):
        # Read from the beginning: the connection may be reset by what arrives after it was answered and closed.
        answer = asyncio.create_task(reader.readline())
        writer.write(head)
        if not at_once:
            await until(lambda: received)
        writer.write(body)
        assert (await answer).split()[1] == b"400"
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not [record for record in caplog.records if record.exc_info and record.levelno > logging.DEBUG]


async def test_a_client_that_leaves_within_its_body_is_no_error(
    received: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as http:
        async with http.connected() as (_, writer):
            writer.write(POST + b"Content-Length: 50\r\n\r\nabc")
            await until(lambda: received)
        async with http.connected() as streams:
            assert await asked(streams) == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_requests_behind_one_another_are_all_answered() -> None:
    async with served(head_seconds=1.0) as http, http.connected() as (reader, writer):
        request = POST + b"Content-Length: 3\r\n\r\nabc"
        writer.write(request * 100)
        for _ in range(100):
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"200"
            assert await reader.readexactly(3) == b"abc"
