"""1,100 HTTP requests that never end, on a gateway that may have 1,024 files open."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from pydicom import Dataset

from gateway.simulators import modality, ris
from gateway.simulators.studies import perform
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.faults.whole_gateway import WholeGateway, running

log = logging.getLogger(__name__)

HEADS = int(os.environ.get("FAULTS_HEADS", "1100"))
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "30"))
FILES = 1024
SECONDS = 60.0
"""For each order, query and image, with the making of its connection."""
AGAIN_SECONDS = 10.0
"""After which a connection that was closed is opened anew."""
HEAD = b"GET /api/orders HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class Figures:
    """How many orders, queries and images were answered, and how long the slowest took."""

    def __init__(self) -> None:
        self.answered = {"orders": 0, "queries": 0, "images": 0, "pages": 0}
        self.slowest = dict.fromkeys(self.answered, 0.0)

    async def note(self, kind: str, work: Awaitable[bool]) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                self.answered[kind] += await work
        except Exception as error:
            log.info("%s: %s %s", kind, type(error).__name__, error)
        self.slowest[kind] = max(self.slowest[kind], time.monotonic() - begun)

    def __str__(self) -> str:
        parts = (f"{number} {kind} (slowest {self.slowest[kind]:.2f} s)" for kind, number in self.answered.items())
        return ", ".join(parts)


async def ordered(gateway: WholeGateway, order: ris.Exam) -> bool:
    async with MllpClient("127.0.0.1", gateway.hl7, timeout=SECONDS) as connection:
        answer = parse(await connection.send(order.hl7())).first("MSA")
    return answer is not None and answer.leaf(1) == "AA"


class Scanner:
    """Asks for an order, then stores an image of what the worklist showed last."""

    def __init__(self, gateway: WholeGateway) -> None:
        self._port = gateway.dicom
        self._item = Dataset()

    async def is_shown(self, order: ris.Exam) -> bool:
        found = await modality.query(
            "127.0.0.1", self._port, accession_number=order.accession_number, timeout=SECONDS
        )  # fmt: skip
        self._item = found[0]
        return len(found) == 1

    async def stores(self) -> bool:
        images = perform(self._item, series=1, instances=1)
        return await modality.send("127.0.0.1", self._port, images, timeout=SECONDS) == 1


async def page(gateway: WholeGateway) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.http}/health/live") as response,
    ):
        return response.status == 200


async def rounds(gateway: WholeGateway, seed: int) -> Figures:
    figures, scanner = Figures(), Scanner(gateway)
    for order in ris.orders(seed, ROUNDS):
        await figures.note("orders", ordered(gateway, order))
        await figures.note("queries", scanner.is_shown(order))
        await figures.note("images", scanner.stores())
        await figures.note("pages", page(gateway))
    return figures


@asynccontextmanager
async def unfinished(port: int) -> AsyncIterator[None]:
    """Keep `HEADS` connections open, each with half a head; one that the gateway closes is opened anew."""

    async def hold() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.5)
                continue
            try:
                writer.write(HEAD)
                await reader.read()
            except OSError:
                pass
            finally:
                writer.transport.abort()
            await asyncio.sleep(AGAIN_SECONDS)

    holders = [asyncio.create_task(hold()) for _ in range(HEADS)]
    try:
        await asyncio.sleep(2.0)
        yield
    finally:
        for holder in holders:
            holder.cancel()
        await asyncio.gather(*holders, return_exceptions=True)


async def test_orders_queries_and_images_go_on(tmp_path: Path, database_url: str) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    prefix = ("prlimit", f"--nofile={FILES}:{FILES}")
    async with running(tmp_path / "gateway", database_url, prefix=prefix) as gateway:
        quiet = await rounds(gateway, 1)
        async with unfinished(gateway.http):
            during = await rounds(gateway, 2)
        after = await rounds(gateway, 3)
        written = gateway.log
    for name, figures in (("before", quiet), ("during", during), ("after", after)):
        log.warning("%s: %s", name, figures)
    log.warning("log: %d lines, %d of accept()", len(written.splitlines()), written.count("accept"))
    served = {"orders": ROUNDS, "queries": ROUNDS, "images": ROUNDS}
    for figures in (quiet, during, after):
        assert served.items() <= figures.answered.items(), str(figures)
    assert during.answered["pages"] > 0
    assert after.answered["pages"] == ROUNDS
    assert len(written.splitlines()) < 200, written[-4000:]
