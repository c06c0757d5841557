"""Senders and scanners that misbehave, each for as long as its context lasts."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from bench.dicom_client import Association
from bench.gateway_process import Gateway
from gateway.simulators import ris
from gateway.wire.hl7.mllp_framing import frame

IDLE: Final = 1_000
LARGE: Final = 50 * 1024 * 1024
SLOW: Final = 50
MANY: Final = 100_000
BATCH: Final = 20_000
HEADS: Final = 150
INFLATED: Final = 48 * 1024 * 1024
DEFLATED: Final = "1.2.840.10008.1.2.1.99"


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
async def idle(gateway: Gateway) -> AsyncIterator[None]:
    """Connections that say nothing."""
    async with _streams(gateway.hl7_port, IDLE):
        yield


@asynccontextmanager
async def slow(gateway: Gateway) -> AsyncIterator[None]:
    """Senders that give a message byte by byte."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in frame(next(iter(ris.orders(1, 1))).hl7()):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    async with _streams(gateway.hl7_port, SLOW) as streams, _working(*(drip(writer) for _, writer in streams)):
        yield


@asynccontextmanager
async def large(gateway: Gateway) -> AsyncIterator[None]:
    """A message of 50 MiB, again and again."""
    body = b"\x0bMSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3.1\rNTE|1||" + b"x" * LARGE

    async def push() -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.hl7_port)
            with contextlib.suppress(OSError):
                writer.write(body)
                await writer.drain()
                await reader.read()
            writer.transport.abort()

    async with _working(push()):
        yield


@asynccontextmanager
async def endless(gateway: Gateway) -> AsyncIterator[None]:
    """A message that has no end, from a sender that never waits."""

    async def pour() -> None:
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.hl7_port)
            with contextlib.suppress(OSError):
                writer.write(b"\x0bMSH|^~\\&|")
                while True:
                    writer.write(b"y" * 65536)
                    await writer.drain()
            writer.transport.abort()

    async with _working(pour()):
        yield


@asynccontextmanager
async def deaf(gateway: Gateway) -> AsyncIterator[None]:
    """A sender that never reads what it is answered: the gateway is to stop reading it, not to collect answers."""
    raw = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3.1\r"

    async def talk(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(frame(raw))
            await writer.drain()

    async with _streams(gateway.hl7_port, 1) as [(reader, writer)]:
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


def allergies(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An order with very many AL1 segments."""
    order = next(iter(ris.orders(1, 1))).hl7()
    segments = b"".join(b"AL1|%d|DA|X%d^Allergen\r" % (number, number) for number in range(1, MANY + 1))
    return repeated_message(gateway.hl7_port, order + segments)


def batch(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """A batch of very many orders."""
    orders = b"".join(order.hl7() for order in ris.orders(2, BATCH))
    return repeated_message(gateway.hl7_port, b"BHS|^~\\&|RIS\r" + orders + b"BTS|%d\r" % BATCH)


@asynccontextmanager
async def slow_heads(gateway: Gateway) -> AsyncIterator[None]:
    """HTTP requests whose heads come byte by byte, begun anew when they are cut off."""

    async def drip() -> None:
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
            with contextlib.suppress(OSError):
                writer.write(b"GET /health/live HTTP/1.1\r\nX-Slow: ")
                while not writer.transport.is_closing():
                    writer.write(b"x")
                    await asyncio.sleep(1.0)
            writer.transport.abort()

    async with _working(*(drip() for _ in range(HEADS))):
        yield


@asynccontextmanager
async def _repeated_query(gateway: Gateway, identifier: bytes) -> AsyncIterator[None]:
    """A C-FIND with a deflated identifier, asked anew when it has been answered."""
    deflated = zlib.compress(identifier, 9, -zlib.MAX_WBITS)
    deflated += bytes(len(deflated) % 2)
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError, RuntimeError), Association(gateway.dicom_port, syntax=DEFLATED) as one:
                while not stop.is_set():
                    one.find(deflated)

    asking = asyncio.create_task(asyncio.to_thread(ask))
    try:
        yield
    finally:
        stop.set()
        await asking


def inflating(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An identifier that is a thousand times as long when it is inflated."""
    head = struct.pack("<HH2sHI", 0x0040, 0xA160, b"UT", 0, INFLATED)
    return _repeated_query(gateway, head + b" " * INFLATED)


def many_keys(gateway: Gateway) -> AbstractAsyncContextManager[None]:
    """An identifier with very many keys."""
    tags = (divmod(number, 0xF000) for number in range(MANY))
    keys = (struct.pack("<HH2sH", 0x0011 + 2 * group, 0x1000 + element, b"LO", 0) for group, element in tags)
    return _repeated_query(gateway, b"".join(keys))


KINDS: Final[dict[str, Callable[[Gateway], AbstractAsyncContextManager[None]]]] = {
    f"{IDLE:,} idle connections": idle,
    f"{SLOW} senders of 10 bytes a second": slow,
    "a message of 50 MiB, again and again": large,
    "a message without end": endless,
    "a sender that never reads its ACKs": deaf,
    f"an order with {MANY:,} AL1 segments": allergies,
    f"a batch of {BATCH:,} orders": batch,
    f"{HEADS} HTTP requests with slow heads": slow_heads,
    f"a query that inflates to {INFLATED >> 20} MiB": inflating,
    f"a query with {MANY:,} keys": many_keys,
}
