"""S1's memory: many orders, one after the other, and what the gateway holds on the way."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench import gateway_process
from bench.figures import Report, Table, at_most, milliseconds, percentile
from bench.mllp_load import send

CONNECTIONS = 16
PARTS = 10


def run(*, orders: int) -> Report:
    """`orders` over 16 connections to SQLite in ten parts, with what is resident after each."""
    rows, resident = [], []
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as name:
        configuration = gateway_process.settings(f"sqlite:///{name}/gateway.db")
        spawn = multiprocessing.get_context("spawn")
        with gateway_process.running(Path(name), configuration) as gateway:
            for part in range(1, PARTS + 1):
                # A process for each part: what the sender holds is not the gateway's.
                with ProcessPoolExecutor(1, mp_context=spawn) as pool:
                    load = pool.submit(send, gateway.hl7_port, CONNECTIONS, part, orders // PARTS).result()
                resident.append(gateway.rss())
                size = (Path(name) / "gateway.db").stat().st_size / gateway_process.MEBI
                latencies = [milliseconds(percentile(load.latencies, percent)) for percent in (50, 99)]
                rows.append(
                    (
                        f"{part * orders // PARTS:,}",
                        f"{load.rate:,.0f}",
                        *latencies,
                        f"{resident[-1]:.0f}",
                        f"{size:.0f}",
                    )
                )
    header = ("orders so far", "messages/s", "p50 ms", "p99 ms", "MiB resident", "MiB on disk")
    growth = statistics.median(resident[-3:]) / statistics.median(resident[1:4])
    target = at_most("S1 memory, last third against the second to fourth tenth", "x", 1.2, growth)
    return Report(
        [Table(f"Soak: {orders:,} orders over {CONNECTIONS} connections, SQLite FULL", header, rows)], [target]
    )
