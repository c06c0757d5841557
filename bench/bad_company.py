"""Senders and scanners that misbehave, each for as long as its context lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from bench.gateway_process import Gateway
from gateway.simulators import ris
from gateway.wire.hl7.mllp_framing import frame

IDLE: Final = 1_000
LARGE: Final = 50 * 1024 * 1024
SLOW: Final = 50
HEADS: Final = 150


@asynccontextmanager
async def _streams(port: int, number: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


@asynccontextmanager
async def working(*works: Any) -> AsyncIterator[None]:
    """All of `works` under way, until the block ends."""
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

    async with _streams(gateway.hl7_port, SLOW) as streams, working(*(drip(writer) for _, writer in streams)):
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

    async with working(push()):
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

    async with working(pour()):
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
        async with working(talk(writer)):
            yield


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

    async with working(*(drip() for _ in range(HEADS))):
        yield


KINDS: Final[dict[str, Callable[[Gateway], AbstractAsyncContextManager[None]]]] = {
    f"{IDLE:,} idle connections": idle,
    f"{SLOW} senders of 10 bytes a second": slow,
    "a message of 50 MiB, again and again": large,
    "a message without end": endless,
    "a sender that never reads its ACKs": deaf,
    f"{HEADS} HTTP requests with slow heads": slow_heads,
}
