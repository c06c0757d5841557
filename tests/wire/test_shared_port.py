"""A port on which several processes accept. Two listeners of one loop stand for two processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.wire.listening import Listening
from gateway.wire.places import Places
from gateway.wire.shared_port import ConnectionCounts, SharedPort, listening_sockets
from tests.conftest import until
from tests.wire.test_listening import HOST, Echo, connected, echoed

PROCESSES = 2


@pytest.fixture
def ports() -> Iterator[list[SharedPort]]:
    """The port as each process has it."""
    doors, counts = listening_sockets(HOST, 0), ConnectionCounts(1, PROCESSES)
    ports = [SharedPort([door.dup() for door in doors], counts.of(0, process)) for process in range(PROCESSES)]
    yield ports
    for door in (*doors, *(copy for port in ports for copy in port.sockets)):
        door.close()


@asynccontextmanager
async def serving(port: SharedPort) -> AsyncIterator[Listening]:
    server = Listening("echo", Echo, Places(64))
    await server.start(HOST, 0, shared=port)
    try:
        yield server
    finally:
        server.close()


async def test_connections_go_to_who_has_the_fewest(ports: list[SharedPort]) -> None:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(serving(port)) for port in ports]
        for _ in range(10):
            assert await echoed(await stack.enter_async_context(connected(first)))
        assert abs(len(first.places) - len(second.places)) <= 2
        assert ports[0].turns.total == 10
        assert ports[0].turns.present == PROCESSES


async def test_many_at_once_are_spread_evenly(ports: list[SharedPort]) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(port)) for port in ports]
        opened = [asyncio.open_connection(HOST, servers[0].port) for _ in range(16)]
        streams = await asyncio.gather(*opened)
        await until(lambda: sum(len(server.places) for server in servers) == 16)
        # Who is at work when its turn comes is passed over, so the numbers need not be the same.
        assert all(4 <= len(server.places) <= 12 for server in servers)
        for _, writer in streams:
            writer.transport.abort()


async def test_a_process_that_does_not_accept_is_not_waited_for(ports: list[SharedPort]) -> None:
    ports[1].turns.note(0)  # it says that it would
    async with serving(ports[0]) as server, AsyncExitStack() as stack:
        for _ in range(3):
            assert await echoed(await stack.enter_async_context(connected(server)))


async def test_connections_that_wait_when_a_process_ends_are_served_by_the_other(ports: list[SharedPort]) -> None:
    async with serving(ports[0]) as first:
        port = first.port
        first.close()
        streams = await asyncio.open_connection(HOST, port)  # the system has taken it, and no process
        async with serving(ports[1]):
            assert await echoed(streams)
        streams[1].transport.abort()


def test_counts_are_seen_by_other_processes() -> None:
    counts = ConnectionCounts(2, PROCESSES)
    if not (child := os.fork()):
        counts.of(1, 1).note(7)
        os._exit(0)
    os.waitpid(child, 0)
    assert counts.of(1, 0).total == 7
    assert counts.of(0, 0).total == 0
    counts.absent(1)
    assert counts.of(1, 0).total == counts.of(1, 0).present == 0
