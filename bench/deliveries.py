"""S7: studies that wait are delivered to an EHR that answers at once: how many in a second, and what it costs."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Connection, update

from bench import gateway_process
from bench.databases import empty_database
from bench.figures import Report, Table, at_least
from bench.made_studies import made_study, study_of, study_uid
from gateway.assembly.mappings import load_mappings
from gateway.clock import now
from gateway.config.tree import Config
from gateway.records.digest import digest_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import Store, outbox, schema

HELD_TO: Final = {"SQLite": 500, "PostgreSQL": 400}
"""Studies a second."""
LANES: Final = 16
SERIES: Final = 2
CALM_SECONDS: Final = 1.0
CALM_CPU: Final = 0.03
"""Seconds of CPU of all processes in `CALM_SECONDS`: what is left when nothing is to be done."""
NOTICE_MICROS: Final = 2_000_000
"""From the commit that states when deliveries fall due until they do: each process looks once a second."""


@dataclass(frozen=True)
class Measured:
    rate: float
    """Studies in a second, from the first PUT to the last."""
    cpu_micros: float
    """Of the gateway, for each study."""
    cpu_of_each: tuple[float, ...]
    """Seconds of each process that serves."""


def run(*, count: int, rounds: int, sizes: list[int]) -> Report:
    """`count` studies of each of `sizes` instances, on both databases; databases take turns."""
    cases = [(database, size) for size in sizes for database in ("SQLite", "PostgreSQL")]
    measured: dict[tuple[str, int], list[Measured]] = {case: [] for case in cases}
    for _ in range(rounds):
        for database, size in cases:
            measured[database, size].append(delivered(database, size, count if size < 100 else count // 4))
    rows, targets = [], []
    for (database, size), found in measured.items():
        rate = statistics.median(one.rate for one in found)
        cpu = statistics.median(one.cpu_micros for one in found)
        rows.append((database, f"{size}", f"{rate:,.0f}", f"{min(one.rate for one in found):,.0f}", f"{cpu:,.0f}"))
        if size == sizes[0]:
            targets.append(
                at_least(f"S7 {database}, {LANES} lanes, {size} instances", "studies/s", HELD_TO[database], rate)
            )
    header = ("database", "instances", "studies/s", "worst round", "CPU us/study")
    return Report([Table(f"S7 Deliveries to an EHR that answers at once, {LANES} lanes", header, rows)], targets)


def delivered(database: str, size: int, count: int, *, processes: int = 1) -> Measured:
    """`count` studies of `size` instances that wait in a new database, brought to the EHR by so many processes."""
    with ExitStack() as stack:
        folder, url = empty_database(stack, database, "s7")
        receiver = stack.enter_context(subprocess.Popen(
            [sys.executable, "-m", "bench.fast_ehr", str(count)], stdout=subprocess.PIPE, text=True
        ))  # fmt: skip
        stack.callback(receiver.terminate)
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        configuration = gateway_process.settings(url, f"http://127.0.0.1:{port}/fhir")
        configuration["ehrs"][0]["concurrency"] = LANES
        config = Config(**configuration)
        asyncio.run(_fill(config, size, count))
        gateway = stack.enter_context(gateway_process.running(folder, configuration, processes=processes))
        _wait_until_calm(gateway)
        asyncio.run(_let_fall_due(config))
        before = gateway.cpu_of_each()
        said = receiver.stdout.readline()
        seconds = re.fullmatch(r"(\d+) in ([\d.]+) s\n", said)
        if seconds is None or int(seconds[1]) != count:
            raise RuntimeError(f"not all were delivered: {said!r}")
        used = tuple(now - then for now, then in zip(gateway.cpu_of_each(), before, strict=True))
        return Measured(count / float(seconds[2]), sum(used) / count * 1e6, used)


def _wait_until_calm(gateway: gateway_process.Gateway) -> None:
    """Until what goes on beside the start is over, in each process."""
    spent, before = CALM_CPU, gateway.cpu_seconds()
    while spent >= CALM_CPU:
        time.sleep(CALM_SECONDS)
        spent, before = gateway.cpu_seconds() - before, gateway.cpu_seconds()


async def _let_fall_due(config: Config) -> None:
    """All that waits, soon and at one moment."""
    store = await Store.open(config.database.url)
    await store.write(lambda connection: connection.execute(update(schema.outbox).values(due_at=now() + NOTICE_MICROS)))
    await store.close()


async def _fill(config: Config, size: int, count: int) -> None:
    """`count` deliveries, each of a study of its own, that are not due before `_let_fall_due`."""
    mappings = load_mappings(config)
    uid = study_uid(0)
    template = study_of(mappings, uid, made_study(0, series=SERIES, instances=size // SERIES))
    body = orjson.dumps(mappings.studies.build(template)).decode()
    kind = delivery_to(config.ehrs[0].name)
    moment = now()

    def unit(connection: Connection) -> None:
        for number in range(count):
            own = f"{uid}.{number}"
            resource = orjson.loads(body.replace(uid, own))
            outbox.enqueue(
                connection, lane=Lane(kind, StudyInstanceUID(own)),
                payload={"resource": resource, "digest": digest_of(resource).hex(), "revision": 1},
                due_at=outbox.NEVER, now=moment,
            )  # fmt: skip

    store = await Store.open(config.database.url)
    await store.write(unit)
    await store.close()
