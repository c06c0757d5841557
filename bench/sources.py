"""An archive that is asked for its studies by QIDO-RS: how fast all of them are listed and compared, and how fast those
that are new are read."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from bench import gateway_process
from bench.canned_archive import first_day, result_of
from bench.databases import empty_database
from bench.figures import Report, Table, at_least
from bench.made_studies import study_uid
from gateway.journey.study_arrival.sources.by_dicomweb import listed_study
from gateway.store import Store, source_watermarks
from gateway.store.schema import instances, source_studies
from gateway.wire.dicomweb import dicom_json

WINDOW_DAYS: Final = 10
PER_DAY: Final = 100
LONGEST_SECONDS: Final = 540.0
"""After so long a case counts as failed."""


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    """Of the gateway."""
    rss: float
    """Most resident memory of the gateway, MiB."""


def run(*, listed: int, read: int, per_study: int, databases: list[str]) -> Report:
    """`listed` studies that were read before, and `read` new ones of `per_study` instances; on each of `databases`."""
    rows, targets = [], []
    for database in databases:
        known = _case(database, listed, 1, are_known=True)
        fresh = _case(database, read, per_study, are_known=False)
        for what, number, found in (("listed and compared", listed, known), ("listed and read", read, fresh)):
            cpu = found.cpu_seconds / number * 1e6
            rows.append((
                database, what, f"{number:,}", f"{found.seconds:.1f}", f"{number / found.seconds:,.0f}", f"{cpu:,.0f}",
                f"{found.rss:.0f}",
            ))  # fmt: skip
        targets.append(at_least(f"sources {database}, listed and compared", "studies/s", 1_000, listed / known.seconds))
    header = ("database", "what", "studies", "s", "studies/s", "CPU us/study", "RSS MiB")
    notes = (
        f"windows of {WINDOW_DAYS} days with {PER_DAY} studies a day, pages of 200; new ones of {per_study} instances",
    )
    return Report([Table("Studies of an archive that is asked by QIDO-RS", header, rows, notes)], targets)


def _case(database: str, studies: int, per_study: int, *, are_known: bool) -> Measured:
    with ExitStack() as stack:
        folder, url = empty_database(stack, database, "sources")
        days = max(studies // PER_DAY, 1)
        archive = stack.enter_context(subprocess.Popen(
            [sys.executable, "-m", "bench.canned_archive", str(studies), str(days), str(per_study)],
            stdout=subprocess.PIPE, text=True,
        ))  # fmt: skip
        stack.callback(archive.terminate)
        assert archive.stdout is not None
        port = int(archive.stdout.readline())
        if are_known:
            asyncio.run(_fill(url, studies))
        configuration = gateway_process.settings(url)
        configuration["studies"]["sources"] = [{
            "name": "pacs", "kind": "dicomweb", "url": f"http://127.0.0.1:{port}/dicom-web",
            "since": str(first_day(days)), "window_days": WINDOW_DAYS, "every_seconds": 1,
        }]  # fmt: skip
        begun = time.monotonic()
        gateway = stack.enter_context(gateway_process.running(folder, configuration))
        asyncio.run(_finished(url, 0 if are_known else studies * per_study))
        return Measured(time.monotonic() - begun, gateway.cpu_seconds(), gateway_process.memory(gateway.pid)[1])


async def _fill(url: str, studies: int) -> None:
    """All studies were read."""
    state = listed_study("", dicom_json.read_tolerantly(result_of("1.2", "20260101", 1), [])).state
    rows = [
        {"source": "pacs", "digest": hashlib.sha256(study_uid(one).encode()).digest(), "state": state, "read_at": 1}
        for one in range(studies)
    ]
    store = await Store.open(url)
    await store.write(partial(_insert, rows=rows))
    await store.close()


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    for at in range(0, len(rows), 10_000):
        connection.execute(insert(source_studies), rows[at : at + 10_000])


async def _finished(url: str, wanted: int) -> None:
    """Wait until all is listed, and so many instances are kept."""
    store = await Store.open(url)
    end = time.monotonic() + LONGEST_SECONDS
    while not await store.read(partial(_is_whole, wanted=wanted)):
        if time.monotonic() > end:
            raise RuntimeError(f"not done after {LONGEST_SECONDS} s")
        await asyncio.sleep(0.2)
    await store.close()


def _is_whole(connection: Connection, wanted: int) -> bool:
    state = source_watermarks.get(connection, "pacs")
    if state.polled_at is None or state.watermark.is_behind:
        return False
    return connection.execute(select(func.count()).select_from(instances)).scalar_one() >= wanted
