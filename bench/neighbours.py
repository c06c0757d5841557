"""Neighbours: what senders and scanners that misbehave, or ask for much, do to the latency of the others.

Each kind is measured against the quiet rounds before its own, in one run: an order's AA over four connections, and a
C-FIND. p99 is of all requests of all rounds together: that of sixty requests is the longest of them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench import bad_company, gateway_process, long_requests
from bench.bad_company import IDLE
from bench.dicom_client import Association, encoded
from bench.figures import Report, Table, at_most, milliseconds, percentile
from bench.mllp_load import send
from bench.worklist import asked_for

CONNECTIONS: Final = 4
KINDS: Final = {**bad_company.KINDS, **long_requests.KINDS}
READY, STOP = "ready", "stop"


def _misbehave(kind: str, gateway: gateway_process.Gateway, channel: Connection) -> None:
    """In a process of its own, until told to stop."""

    async def play() -> None:
        async with KINDS[kind](gateway):
            channel.send(READY)
            await asyncio.to_thread(channel.recv)

    asyncio.run(play())


@dataclass
class Latency:
    """Seconds of each request, of all rounds."""

    quiet: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return percentile(self.beside, 99) / percentile(self.quiet, 99)

    def cells(self) -> list[str]:
        pools = (self.quiet, self.beside)
        return [milliseconds(percentile(one, wanted)) for wanted in (50, 99) for one in pools] + [f"{self.ratio:.2f}"]


@dataclass
class Measured:
    orders: Latency = field(default_factory=Latency)
    queries: Latency = field(default_factory=Latency)
    resident: float = 0.0


def _query(port: int, number: int) -> list[float]:
    """Seconds of each of `number` queries by an accession number that nothing has, on one association."""
    asked = encoded(asked_for(AccessionNumber="NONE"))
    with Association(port) as one:
        return [one.find(asked).seconds for _ in range(number)]


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

            def measure(latency: Measured, of: str) -> None:
                load = pool.submit(send, gateway.hl7_port, CONNECTIONS, next(seeds), messages).result()
                getattr(latency.orders, of).extend(load.latencies)
                getattr(latency.queries, of).extend(pool.submit(_query, gateway.dicom_port, messages).result())

            measure(Measured(), "quiet")
            for _ in range(rounds):
                for kind, measured in found.items():
                    measure(measured, "quiet")
                    here, there = spawn.Pipe()
                    process = spawn.Process(target=_misbehave, args=(kind, gateway, there))
                    process.start()
                    here.recv()
                    measure(measured, "beside")
                    measured.resident = max(measured.resident, gateway.rss())
                    here.send(STOP)
                    process.join()
    rows = [(kind, *one.orders.cells(), *one.queries.cells(), f"{one.resident:.0f}") for kind, one in found.items()]
    columns = ("quiet p50 ms", "p50 ms", "quiet p99 ms", "p99 ms", "ratio of p99")
    header = ("beside", *(f"{of}: {one}" for of in ("orders", "C-FIND") for one in columns), "MiB resident")
    note = (
        f"{messages} orders over {CONNECTIONS} connections and {messages} queries a round, {rounds} rounds; SQLite FULL"
    )
    targets = [at_most(f"orders: p99 beside {kind}", "x", 2, one.orders.ratio) for kind, one in found.items()]
    targets += [at_most(f"C-FIND: p99 beside {kind}", "x", 2, one.queries.ratio) for kind, one in found.items()]
    return Report([Table("Neighbours: latency beside peers that misbehave", header, rows, [note])], targets)
