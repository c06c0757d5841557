"""Listening sockets: who gets no place, and what becomes of `accept()` when there are no descriptors."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from gateway.wire.listening import Listening
from gateway.wire.places import Denial, HeldPlace, Places
from tests.conftest import until

HOST, OTHER = "127.0.0.1", "127.0.0.2"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo(asyncio.Protocol):
    def __init__(self, place: HeldPlace) -> None:
        self.place = place

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.place.end = transport.abort

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.place.leave()


@asynccontextmanager
async def listening(most: int, **options: Any) -> AsyncIterator[Listening]:
    server = Listening("echo", Echo, Places(most), **options)
    await server.start(HOST, 0)
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def connected(server: Listening, address: str = HOST) -> AsyncIterator[Streams]:
    async with asyncio.timeout(120):
        reader, writer = await asyncio.open_connection(HOST, server.port, local_addr=(address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def echoed(streams: Streams) -> bool:
    reader, writer = streams
    writer.write(b"hello")
    return await reader.readexactly(5) == b"hello"


class Turned:
    """Who got no place."""

    def __init__(self) -> None:
        self.away: list[tuple[str, Denial]] = []

    def note(self, address: str, _port: int, denial: Denial) -> None:
        self.away.append((address, denial))


async def test_who_gets_no_place_is_told_and_counted() -> None:
    turned = Turned()
    async with listening(2, turned_away=turned.note, farewell=b"full") as server:
        async with connected(server) as one, connected(server) as two, connected(server) as third:
            assert await echoed(one)
            assert await echoed(two)
            assert await third[0].read() == b"full"
        await until(lambda: len(server.places) == 0)
        async with connected(server) as again:
            assert await echoed(again)
    assert turned.away == [(HOST, Denial.IN_ALL)]


async def test_who_is_not_admitted_takes_no_place() -> None:
    turned = Turned()
    ours = listening(1, admits=lambda address: address == HOST, turned_away=turned.note)
    async with ours as server, connected(server) as one:
        assert await echoed(one)
        server.places.patience = 0
        async with connected(server, OTHER) as other:
            assert await other[0].read() == b""
        assert await echoed(one)
    assert turned.away == [(OTHER, Denial.ADDRESS)]


def lowest_free() -> int:
    """The descriptor that the next file of this process gets."""
    gc.collect()  # else what others have left open may be closed meanwhile, and its lower number be the next
    lowest = os.dup(0)
    os.close(lowest)
    return lowest


async def test_descriptors_that_are_kept_for_others_are_not_taken() -> None:
    async with listening(10, most_descriptors=lowest_free()) as server, connected(server) as (reader, _):
        assert await reader.read() == b""


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open no further file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_connections_wait_while_there_are_no_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as peer, caplog.at_level(logging.ERROR):
        async with listening(10) as server:
            port = server.port
            with no_descriptors():
                peer.setblocking(False)
                await asyncio.get_running_loop().sock_connect(peer, (HOST, server.port))
                await until(lambda: len(caplog.records) >= 2)
            await asyncio.get_running_loop().sock_sendall(peer, b"hello")
            assert await asyncio.get_running_loop().sock_recv(peer, 5) == b"hello"
    # A line for each try, which is every 100 ms; the log's handler makes one a minute of them.
    texts = {record.getMessage() for record in caplog.records}
    assert texts == {f"echo: connections to port {port} wait, accept() fails: Too many open files"}
    assert len(caplog.records) < 50


async def test_a_host_with_several_addresses() -> None:
    server = Listening("echo", Echo, Places(5))
    await server.start("localhost", 0)
    try:
        async with connected(server) as one:
            assert await echoed(one)
    finally:
        server.close()


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with listening(1) as server:
        with pytest.raises(OSError, match="in use"):
            await Listening("echo", Echo, Places(1)).start(HOST, server.port)
