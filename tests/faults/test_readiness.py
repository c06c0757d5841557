"""Readiness is the truth about writing: a disk that is full, a file that is locked, a database that hangs."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient
from tests.faults.small_disk import fill, small_disk
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_hung_database import frozen

NOTICED_SECONDS = 13.0
"""A proof counts for five seconds, a heartbeat has five more; the rest is for a loaded machine."""
OVER_SECONDS = 5.0


class Readiness:
    """What /health/ready of a gateway states."""

    def __init__(self, session: aiohttp.ClientSession, gateway: WholeGateway) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{gateway.http}/health/ready"

    async def ask(self) -> tuple[int, dict[str, Any]]:
        async with self._session.get(self._url) as answer:
            return answer.status, (await answer.json())["components"]["writing"]

    async def reach(self, *, ok: bool, seconds: float) -> tuple[float, str]:
        """Seconds until `writing` is well or not, and its detail; the status is 503 while it is not."""
        begun = time.monotonic()
        async with asyncio.timeout(seconds):
            while True:
                status, writing = await self.ask()
                if writing["ok"] is ok and (ok or status == 503):
                    return time.monotonic() - begun, str(writing["detail"])
                await asyncio.sleep(0.2)


@asynccontextmanager
async def ready(
    folder: Path, url: str, settings: dict[str, Any] | None = None
) -> AsyncIterator[tuple[WholeGateway, Readiness]]:
    async with running(folder / "gateway", url, settings) as gateway, aiohttp.ClientSession() as session:
        readiness = Readiness(session, gateway)
        await readiness.reach(ok=True, seconds=OVER_SECONDS)
        yield gateway, readiness


async def refused(gateway: WholeGateway, first: int) -> list[str]:
    """MSA-1 of ten orders."""
    answers = []
    async with MllpClient("127.0.0.1", gateway.hl7, timeout=30) as connection:
        for order in ris.orders(first, 10):
            answers.append((await connection.send(order.hl7())).split(b"MSA|")[1][:2].decode())
    return answers


def show(fault: str, noticed: float, cause: str, over: float) -> None:
    print(f"{fault}: 503 after {noticed:.1f} s ({cause}), 200 {over:.1f} s after its end")


def lines_of(gateway: WholeGateway, text: str) -> int:
    return sum(text in line for line in gateway.log.splitlines())


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with ready(tmp_path, f"sqlite:///{disk}/gateway.db") as (gateway, readiness):
            assert set(await refused(gateway, 1)) == {"AA"}
            filler = disk / "filler"
            fill(filler)
            noticed, cause = await readiness.reach(ok=False, seconds=NOTICED_SECONDS)
            assert "disk" in cause
            for first in range(100, 150, 10):
                await refused(gateway, first)
            assert (await readiness.ask())[0] == 503
            filler.unlink()
            over, _ = await readiness.reach(ok=True, seconds=OVER_SECONDS)
            assert set(await refused(gateway, 900)) == {"AA"}
            assert lines_of(gateway, "nothing can be written to the database") == 1
            assert lines_of(gateway, "the database is written to again") == 1
            show("the disk is full", noticed, cause, over)


async def test_a_file_that_another_program_locks(tmp_path: Path) -> None:
    async with ready(tmp_path, f"sqlite:///{tmp_path}/gateway.db") as (_gateway, readiness):
        other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        noticed, cause = await readiness.reach(ok=False, seconds=NOTICED_SECONDS)
        other.execute("ROLLBACK")
        over, _ = await readiness.reach(ok=True, seconds=OVER_SECONDS)
        other.close()
        show("another program locks the file", noticed, cause, over)


async def test_a_database_that_hangs(tmp_path: Path, postgres_server: str, shared_postgres: str) -> None:
    settings = {"database": {"url": shared_postgres, "answer_seconds": 3}}
    async with ready(tmp_path, shared_postgres, settings) as (_gateway, readiness):
        with frozen(postgres_server):
            noticed, cause = await readiness.reach(ok=False, seconds=NOTICED_SECONDS)
        over, _ = await readiness.reach(ok=True, seconds=OVER_SECONDS * 2)
        show("the database hangs", noticed, cause, over)
