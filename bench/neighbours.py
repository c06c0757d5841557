"""Bad company: what senders that misbehave do to the latency of the others, on the same listener.

Each kind is measured against the quiet rounds around it, in one run: p99 of an order's AA over four connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from bench import gateway_process
from bench.figures import Report, Table, at_most, milliseconds, percentile
from bench.mllp_load import send
from gateway.simulators import ris
from gateway.wire.hl7.mllp_framing import frame

CONNECTIONS: Final = 4
IDLE: Final = 1_000
LARGE: Final = 50 * 1024 * 1024
SLOW: Final = 50
MANY: Final = 100_000
BATCH: Final = 20_000
READY, STOP = "ready", "stop"


@asynccontextmanager
async def _streams(port: int, number: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


@asynccontextmanager
async def _working(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def idle(port: int) -> AsyncIterator[None]:
    """Connections that say nothing."""
    async with _streams(port, IDLE):
        yield


@asynccontextmanager
async def slow(port: int) -> AsyncIterator[None]:
    """Senders that give a message byte by byte."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in frame(next(iter(ris.orders(1, 1))).hl7()):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    async with _streams(port, SLOW) as streams, _working(*(drip(writer) for _, writer in streams)):
        yield


@asynccontextmanager
async def large(port: int) -> AsyncIterator[None]:
    """A message of 50 MiB, again and again."""
    body = b"\x0bMSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3.1\rNTE|1||" + b"x" * LARGE

    async def push() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):
                writer.write(body)
                await writer.drain()
                await reader.read()
            writer.transport.abort()

    async with _working(push()):
        yield


@asynccontextmanager
async def endless(port: int) -> AsyncIterator[None]:
    """A message that has no end, from a sender that never waits."""

    async def pour() -> None:
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):
                writer.write(b"\x0bMSH|^~\\&|")
                while True:
                    writer.write(b"y" * 65536)
                    await writer.drain()
            writer.transport.abort()

    async with _working(pour()):
        yield


@asynccontextmanager
async def deaf(port: int) -> AsyncIterator[None]:
    """A sender that never reads what it is answered: the gateway is to stop reading it, not to collect answers."""
    raw = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3.1\r"

    async def talk(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(frame(raw))
            await writer.drain()

    async with _streams(port, 1) as [(reader, writer)]:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with _working(talk(writer)):
            yield


@asynccontextmanager
async def repeated_message(port: int, raw: bytes) -> AsyncIterator[None]:
    """A whole message or batch, sent anew when it has been answered."""

    async def talk() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                writer.write(frame(raw))
                await writer.drain()
                await reader.readuntil(b"\x1c\r")
            writer.transport.abort()

    async with _working(talk()):
        yield


def allergies(port: int) -> AbstractAsyncContextManager[None]:
    """An order with very many AL1 segments."""
    order = next(iter(ris.orders(1, 1))).hl7()
    segments = b"".join(b"AL1|%d|DA|X%d^Allergen\r" % (number, number) for number in range(1, MANY + 1))
    return repeated_message(port, order + segments)


def batch(port: int) -> AbstractAsyncContextManager[None]:
    """A batch of very many orders."""
    orders = b"".join(order.hl7() for order in ris.orders(2, BATCH))
    return repeated_message(port, b"BHS|^~\\&|RIS\r" + orders + b"BTS|%d\r" % BATCH)


KINDS: Final[dict[str, Callable[[int], AbstractAsyncContextManager[None]]]] = {
    f"{IDLE:,} idle connections": idle,
    f"{SLOW} senders of 10 bytes a second": slow,
    "a message of 50 MiB, again and again": large,
    "a message without end": endless,
    "a sender that never reads its ACKs": deaf,
    f"an order with {MANY:,} AL1 segments": allergies,
    f"a batch of {BATCH:,} orders": batch,
}


def _misbehave(kind: str, port: int, channel: Connection) -> None:
    """In a process of its own, until told to stop."""

    async def play() -> None:
        async with KINDS[kind](port):
            channel.send(READY)
            await asyncio.to_thread(channel.recv)

    asyncio.run(play())


@dataclass
class Measured:
    quiet: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    resident: float = 0.0

    @property
    def ratio(self) -> float:
        return statistics.median(self.beside) / statistics.median(self.quiet)


def run(*, messages: int, rounds: int) -> Report:
    found = {kind: Measured() for kind in KINDS}
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bench-neighbours-") as name:
        configuration = gateway_process.settings(f"sqlite:///{name}/gateway.db")
        configuration["hl7"]["listeners"][0]["max_connections"] = 2 * IDLE
        with (
            ProcessPoolExecutor(1, mp_context=spawn) as pool,
            gateway_process.running(Path(name), configuration) as gateway,
        ):
            seeds = count(1)

            def p99() -> float:
                load = pool.submit(send, gateway.hl7_port, CONNECTIONS, next(seeds), messages).result()
                return percentile(load.latencies, 99)

            p99()
            for _ in range(rounds):
                for kind, measured in found.items():
                    measured.quiet.append(p99())
                    here, there = spawn.Pipe()
                    process = spawn.Process(target=_misbehave, args=(kind, gateway.hl7_port, there))
                    process.start()
                    here.recv()
                    measured.beside.append(p99())
                    measured.resident = max(measured.resident, gateway.rss())
                    here.send(STOP)
                    process.join()
    rows = [
        (
            kind,
            milliseconds(statistics.median(one.quiet)),
            milliseconds(statistics.median(one.beside)),
            f"{one.ratio:.2f}",
            f"{one.resident:.0f}",
        )
        for kind, one in found.items()
    ]
    header = ("beside", "quiet p99 ms", "p99 ms", "ratio", "MiB resident")
    note = f"{messages} orders over {CONNECTIONS} connections a round, {rounds} rounds, medians; SQLite FULL"
    targets = [at_most(f"p99 beside {kind}", "x", 2, one.ratio) for kind, one in found.items()]
    return Report([Table("Neighbours: latency to AA beside senders that misbehave", header, rows, [note])], targets)
