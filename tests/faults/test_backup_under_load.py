"""`gateway backup` of a large SQLite file while orders arrive: how long it takes, and what senders notice."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.simulators import ris
from gateway.wire.hl7.mllp_client import MllpClient
from tests.faults.whole_gateway import WholeGateway, running

MIB = int(os.environ.get("FAULTS_BACKUP_MIB", "300"))
ORDERS_PER_SECOND = int(os.environ.get("FAULTS_BACKUP_ORDERS", "50"))
BEFORE_SECONDS = 10.0
BACKUP_SECONDS = 180.0
CONNECTIONS = 8
ROW_BYTES = 4096
ROWS = 2_000
"""Of one transaction."""


def fill(database: Path) -> None:
    """Let the file grow to `MIB` by received messages: copies of the first, each with an id and bytes of its own."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(messages)") if name != "id"]
        own = {"control_id": "hex(randomblob(8))", "digest": "randomblob(32)", "body": f"randomblob({ROW_BYTES})"}
        values = ", ".join(own.get(name, name) for name in columns)
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
        first = "(SELECT * FROM messages ORDER BY id LIMIT 1)"
        while database.stat().st_size < MIB * 2**20:
            with connection:
                connection.execute(
                    f"INSERT INTO messages ({', '.join(columns)}) {numbers} SELECT {values} FROM n, {first}"
                )
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


class Ris:
    """Sends an order at each beat, whether or not those before it were answered."""

    def __init__(self, gateway: WholeGateway) -> None:
        self._gateway = gateway
        self._orders: Iterator[ris.Exam] = ris.orders(20, 100_000)
        self.taken: list[str] = []
        """Accession numbers with an AA."""

    async def send(self, end: asyncio.Event) -> list[float]:
        """Seconds from each beat to its acknowledgement, until `end`."""
        waiting: asyncio.Queue[tuple[float, ris.Exam] | None] = asyncio.Queue()
        seconds: list[float] = []

        async def station() -> None:
            async with MllpClient("127.0.0.1", self._gateway.hl7, timeout=60) as connection:
                while one := await waiting.get():
                    beat, order = one
                    assert b"MSA|AA|" in await connection.send(order.hl7())
                    seconds.append(time.monotonic() - beat)
                    self.taken.append(order.accession_number)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(station())
            beat = time.monotonic()
            while not end.is_set():
                waiting.put_nowait((beat, next(self._orders)))
                beat += 1 / ORDERS_PER_SECOND
                await asyncio.sleep(beat - time.monotonic())
            for _ in range(CONNECTIONS):
                waiting.put_nowait(None)
        return sorted(seconds)


def shown(seconds: list[float]) -> str:
    p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    return (
        f"{len(seconds)} orders, p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, the slowest {seconds[-1] * 1e3:.0f} ms"
    )


async def without(sender: Ris) -> list[float]:
    end = asyncio.Event()
    asyncio.get_running_loop().call_later(BEFORE_SECONDS, end.set)
    return await sender.send(end)


async def beside(sender: Ris, gateway: WholeGateway, copy: Path) -> tuple[list[float], str]:
    """The times of orders while the backup runs, and what the command printed."""
    end = asyncio.Event()
    sending = asyncio.create_task(sender.send(end))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "backup", str(copy), "-c", "gateway.yaml",
        cwd=gateway.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(BACKUP_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        end.set()
    assert process.returncode == 0, output.decode()
    return await sending, output.decode().splitlines()[-1]


async def test_a_backup_ends_while_orders_arrive(tmp_path: Path) -> None:
    """It ends in bounded time, every order gets its AA, and the copy has all that had theirs before."""
    database, copy = tmp_path / "gateway.db", tmp_path / "copy.db"
    async with running(tmp_path / "gateway", f"sqlite:///{database}") as gateway:
        sender = Ris(gateway)
        async with MllpClient("127.0.0.1", gateway.hl7, timeout=30) as connection:
            await connection.send(next(ris.orders(21, 1)).hl7())
        await asyncio.to_thread(fill, database)
        alone = await without(sender)
        before = set(sender.taken)
        together, printed = await beside(sender, gateway, copy)
    with closing(sqlite3.connect(copy)) as connection:
        kept = {number for (number,) in connection.execute("SELECT accession FROM orders")}
    assert before <= kept
    print(f"{printed}\n  without: {shown(alone)}\n  beside it: {shown(together)}")
