"""S1: order intake over MLLP, AA after the order is applied and on disk; beside it what two libraries need to parse."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import hl7
from hl7apy.parser import parse_message

from bench import gateway_process, postgres, profiled, stages
from bench.figures import Report, Table, at_least, milliseconds, percentile
from bench.gateway_process import Gateway
from bench.mllp_load import Load, send
from gateway.simulators import ris

CONNECTIONS = (16, 1)
PARSED = {"python-hl7 hl7.parse": 1000, "hl7apy parse_message": 30}
"""How many messages each library parses a round: about half a second's worth."""


@dataclass
class Series:
    """The rounds of one database and number of connections."""

    loads: list[Load] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Processor seconds of the gateway for each message."""

    @property
    def rate(self) -> float:
        return statistics.median(load.rate for load in self.loads)

    def latency(self, percent: float) -> float:
        return statistics.median(percentile(load.latencies, percent) for load in self.loads)


def run(*, messages: int, rounds: int) -> Report:
    """`messages` over 16 connections and a quarter of them over one, `rounds` times, alternating with the parsers."""
    with ExitStack() as stack:
        gateways, notes = _start(stack)
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        seeds = count(1)
        for gateway in gateways.values():
            pool.submit(send, gateway.hl7_port, 16, next(seeds), 200).result()
        before = {name: gateway.rss() for name, gateway in gateways.items()}
        series = {(name, connections): Series() for connections in CONNECTIONS for name in gateways}
        parsing: dict[str, list[float]] = {name: [] for name in PARSED}
        for _ in range(rounds):
            for library, rates in parsing.items():
                rates.append(_parse_rate(library, next(seeds)))
            for (name, connections), one in series.items():
                number = messages if connections > 1 else messages // 4
                _round(pool, gateways[name], connections, next(seeds), number, one)
        after = {name: gateway.rss() for name, gateway in gateways.items()}
        parsers = {name: statistics.median(rates) for name, rates in parsing.items()}
        sent = messages * rounds + messages // 4 * rounds
        notes += [
            f"{name}: {before[name]:.0f} MiB resident, {after[name]:.0f} after {sent:,} orders" for name in before
        ]
        report = _report(series, parsers, notes)
    return Report([*report.tables, stages.table(messages=messages, rounds=rounds)], report.targets)


def profile(folder: Path, *, messages: int) -> Report:
    """The same over 16 connections to SQLite, with the profiler on; its findings stay in `folder`."""
    with tempfile.TemporaryDirectory(prefix="bench-s1-") as name:
        settings = gateway_process.settings(f"sqlite:///{name}/gateway.db")
        with (
            ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
            gateway_process.running(Path(name), settings, profile=folder) as gateway,
        ):
            pool.submit(send, gateway.hl7_port, 16, 1, 50).result()
            os.kill(gateway.pid, signal.SIGUSR2)
            pool.submit(send, gateway.hl7_port, 16, 2, messages).result()
    return Report(profiled.shares(folder, messages))


def _start(stack: ExitStack) -> tuple[dict[str, Gateway], list[str]]:
    notes = []
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-s1-")))
    urls = {"SQLite FULL": f"sqlite:///{folder}/gateway.db"}
    try:
        urls["PostgreSQL"], version = stack.enter_context(postgres.database())
        notes.append(f"PostgreSQL {version}")
    except ImportError as error:
        notes.append(f"PostgreSQL not measured: {error}")
    gateways = {}
    for name, url in urls.items():
        own = folder / name.split()[0]
        own.mkdir()
        gateways[name] = stack.enter_context(gateway_process.running(own, gateway_process.settings(url)))
    return gateways, notes


def _round(
    pool: ProcessPoolExecutor, gateway: Gateway, connections: int, seed: int, number: int, series: Series
) -> None:
    cpu = gateway.cpu_seconds()
    series.loads.append(pool.submit(send, gateway.hl7_port, connections, seed, number).result())
    series.cpu.append((gateway.cpu_seconds() - cpu) / number)


def _parse_rate(library: str, seed: int) -> float:
    """Messages a second that `library` parses, of the kind that the gateway is sent."""
    parse: Callable[[str], object] = hl7.parse if library.startswith("python-hl7") else parse_message
    messages = [order.hl7().decode() for order in ris.orders(seed, PARSED[library])]
    begun = time.perf_counter()
    for message in messages:
        parse(message)
    return len(messages) / (time.perf_counter() - begun)


def _report(series: dict[tuple[str, int], Series], parsers: dict[str, float], notes: Sequence[str]) -> Report:
    python_hl7, hl7apy = parsers.values()
    rows = [
        (
            f"{name}, {connections} connection{'s' if connections > 1 else ''}",
            f"{one.rate:,.0f}",
            milliseconds(one.latency(50)),
            milliseconds(one.latency(99)),
            f"{statistics.median(one.cpu) * 1e6:,.0f}",
            f"{one.rate / python_hl7:.2f}",
            f"{one.rate / hl7apy:.1f}",
        )
        for (name, connections), one in series.items()
    ]
    rows += [
        (name, f"{rate:,.0f}", "", "", f"{1e6 / rate:,.0f}", f"{rate / python_hl7:.2f}", f"{rate / hl7apy:.1f}")
        for name, rate in parsers.items()
    ]
    header = ("S1", "messages/s", "p50 ms to AA", "p99 ms", "CPU us/message", "x python-hl7", "x hl7apy")
    best = series["SQLite FULL", 16].rate
    return Report(
        [Table("S1 Order intake: ORM^O01 to AA, applied and on disk (medians of the rounds)", header, rows, notes)],
        [
            at_least("S1 rate, SQLite, 16 connections", "msg/s", 2000, best),
            at_least("S1 against python-hl7 parsing", "x", 1, best / python_hl7),
            at_least("S1 against hl7apy parsing", "x", 20, best / hl7apy),
        ],
    )
