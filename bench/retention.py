"""Retention over a large database while orders arrive: intake alone and beside it, rows deleted, size of the file."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import statistics
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Final

from bench import gateway_process, old_rows
from bench.databases import SQLITE, empty_database
from bench.figures import Report, Table, at_least, milliseconds, percentile
from bench.gateway_process import Gateway
from bench.mllp_load import Load, send

CONNECTIONS: Final = 16
AGE: Final = old_rows.DAYS // 2
BEGIN_SECONDS: Final = 180.0
END_SECONDS: Final = 2 * 3600.0
RUNNING, DELETED = "gateway_retention_running", "gateway_retention_deleted_total"
AGES: Final = {
    f"{kind}_days": AGE
    for kind in ("queries", "refusals", "work", "studies", "performed_steps", "orders", "messages")
}  # fmt: skip


def run(*, messages: int, studies: int, databases: Sequence[str], load: int, rounds: int) -> Report:
    """Half of `messages` and `studies` is old enough; `load` orders in a round: `rounds` before retention, beside
    it and after it. Between the last two nothing is sent until retention has ended."""
    rows, targets, notes = [], [], []
    for database in databases:
        with ExitStack() as stack:
            folder, url = empty_database(stack, database, "retention")
            filling = old_rows.filled(url, messages=messages, studies=studies)
            file = folder / "gateway.db" if database == SQLITE else None
            before = _size(file)
            measured = _Measured(stack, folder, url, load, rounds)
            alone, beside, last = measured.all()
            after = _size(file)
            for name, loads in (("alone, before", alone), ("beside retention", beside), ("alone, after", last)):
                rows.append((database, name, *_figures(loads)))
            rate = statistics.median(one.rate for one in [*alone, *last])
            ratio = statistics.median(one.rate for one in beside) / rate
            targets.append(at_least(f"{database}: S1 beside retention", "x", 0.9, ratio))
            notes += [f"{database}: filled in {filling:.0f} s; {measured.told}"]
            if file is not None:
                notes.append(
                    f"{database}: file {before / 1e6:,.0f} MB before, {after / 1e6:,.0f} MB after; {_free(file)}"
                )
    header = ("database", "orders arrive", "rounds", "orders/s", "p50 ms", "p99 ms")
    title = f"Retention of {messages:,} messages and {studies:,} studies, half of them old enough"
    return Report([Table(title, header, rows, notes)], targets)


def _figures(loads: Sequence[Load]) -> tuple[str, ...]:
    every = [one for load in loads for one in load.latencies]
    rate = statistics.median(load.rate for load in loads)
    return str(len(loads)), f"{rate:.0f}", milliseconds(percentile(every, 50)), milliseconds(percentile(every, 99))


class _Measured:
    """The three parts of a measurement on one database."""

    def __init__(self, stack: ExitStack, folder: Path, url: str, load: int, rounds: int) -> None:
        self._folder = folder
        self._settings = gateway_process.settings(url)
        self._pool: Executor = stack.enter_context(
            ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        )
        self._seeds = count(1)
        self._load = load
        self._rounds = rounds
        self.told = ""
        """What retention did."""

    def all(self) -> tuple[list[Load], list[Load], list[Load]]:
        with gateway_process.running(self._folder, self._settings) as gateway:
            self._send(gateway)
            alone = [self._send(gateway) for _ in range(self._rounds)]
        with gateway_process.running(self._folder, {**self._settings, "retention": AGES}) as gateway:
            self._until_begun(gateway)
            begun, beside = time.perf_counter(), list[Load]()
            while _metric(gateway, RUNNING) and len(beside) < self._rounds:
                beside.append(self._send(gateway))
            first, seconds = _metric(gateway, DELETED), time.perf_counter() - begun
            while _metric(gateway, RUNNING) and time.perf_counter() - begun < END_SECONDS:
                time.sleep(1)
            rest, whole = _metric(gateway, DELETED) - first, time.perf_counter() - begun - seconds
            self.told = (
                f"{first:,.0f} rows deleted in {seconds:.0f} s beside orders, {rest:,.0f} in {whole:.0f} s alone"
            )
            last = [self._send(gateway) for _ in range(self._rounds)]
        if not beside:
            raise RuntimeError("retention ended before an order was sent: give more messages")
        return alone, beside, last

    def _until_begun(self, gateway: Gateway) -> None:
        end = time.monotonic() + BEGIN_SECONDS
        while not _metric(gateway, RUNNING):
            if time.monotonic() > end:
                raise RuntimeError("retention did not begin")
            time.sleep(0.1)

    def _send(self, gateway: Gateway) -> Load:
        return self._pool.submit(send, gateway.hl7_port, CONNECTIONS, next(self._seeds), self._load).result()


def _metric(gateway: Gateway, name: str) -> float:
    """The sum of a metric over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def _size(file: Path | None) -> int:
    return file.stat().st_size if file is not None else 0


def _free(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        [free] = connection.execute("PRAGMA freelist_count").fetchone()
        [left] = connection.execute("SELECT count(*) FROM messages").fetchone()
        [tallies] = connection.execute("SELECT tallies FROM retention_runs ORDER BY id DESC LIMIT 1").fetchone()
    stayed = {kind: one["stayed"] for kind, one in json.loads(tallies).items() if one["stayed"]}
    return f"{free} free pages, {left:,} messages left; old rows that stay: {stayed or 'none'}"
