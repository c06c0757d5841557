"""kill -9 at random moments: every order with an AA is in the worklist once, none twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import urllib.parse
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.ports import free_port
from gateway.errors import Unavailable
from gateway.simulators import modality, ris
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.parsing import parse
from tests.commands import Command, ready

ORDERS = int(os.environ.get("CRASH_ORDERS", "80"))
KILLS = int(os.environ.get("CRASH_KILLS", "3"))
"""`make crash` runs with 500 orders and 20 kills."""


class Process:
    """`gateway run` in a process of its own, that can be killed and started again on the same ports."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.hl7, self.dicom = free_port(), free_port()
        self._config = folder / "gateway.yaml"
        settings = {
            "database": {"url": database_url},
            "hl7": {"listeners": [{"name": "ris", "port": self.hl7}]},
            "dicom": {"port": self.dicom, "max_worklist_matches": 10_000},
            "http": {"port": 0},
        }
        self._config.write_text(json.dumps(settings), encoding="utf-8")
        self._command: Command | None = None

    async def start(self) -> None:
        self._command = Command(("run", "-c", self._config), self._config.parent, {})
        await ready(self._command)

    async def kill(self) -> None:
        assert self._command is not None
        self._command.signal(signal.SIGKILL)
        assert await self._command.ended() == -signal.SIGKILL
        await self._command.end()

    async def stop(self) -> None:
        if self._command is not None:
            await self._command.end()


@asynccontextmanager
async def running(folder: Path, database_url: str) -> AsyncIterator[Process]:
    process = Process(folder, database_url)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


async def test_every_acknowledged_order_is_there_once(tmp_path: Path, database_url: str) -> None:
    orders = list(ris.orders(41, ORDERS))
    waiting = list(reversed(orders))
    acknowledged: list[str] = []
    dice = random.Random(7)

    async def client() -> None:
        """Send; what got no AA is sent again, until it does."""
        while waiting:
            order = waiting.pop()
            while True:
                try:
                    async with MllpClient("127.0.0.1", process.hl7, timeout=120) as connection:
                        while True:
                            ack = parse(await connection.send(order.hl7())).first("MSA")
                            assert ack is not None
                            assert ack.leaf(1) == "AA", ack.leaf(3)
                            acknowledged.append(order.accession_number)
                            if not waiting:
                                return
                            order = waiting.pop()
                except Unavailable:
                    await asyncio.sleep(0.02)

    async with running(tmp_path, urllib.parse.unquote(database_url)) as process:
        clients = [asyncio.create_task(client()) for _ in range(8)]
        try:
            for kill in range(KILLS):
                threshold = dice.randint(kill * ORDERS // (KILLS + 1), (kill + 1) * ORDERS // (KILLS + 1))
                while len(acknowledged) < threshold and not all(task.done() for task in clients):
                    await asyncio.sleep(0.001)
                await asyncio.sleep(dice.uniform(0, 0.02))
                await process.kill()
                await process.start()
            async with asyncio.timeout(120):
                await asyncio.gather(*clients)
        finally:
            for task in clients:
                task.cancel()
        assert sorted(acknowledged) == sorted(one.accession_number for one in orders)
        items = await modality.query("127.0.0.1", process.dicom, timeout=60)
        assert Counter(str(item.AccessionNumber) for item in items) == Counter(acknowledged)
        assert {str(item.StudyInstanceUID) for item in items} == {one.study_uid for one in orders}
