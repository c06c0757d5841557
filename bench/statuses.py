"""S10: statuses that wait are sent to a RIS that answers at once, over 4 connections: how many in a second."""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from bench import gateway_process
from bench.databases import empty_database
from bench.figures import Report, Table, at_least
from gateway.clock import now
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_progress import Progress
from gateway.records.row_ids import OrderRow, PerformedStepRow
from gateway.records.status import MadeMessage, Status
from gateway.records.step import StepEvent
from gateway.records.work import Lane, status_to
from gateway.store import Store, outbox

LANES: Final = 4
_TEXT: Final = (
    "MSH|^~\\&|GATEWAY|Bench|RIS|HOSP|20260123130001+0100||ORM^O01^ORM_O01|{number:020}|P|2.3.1||||||UNICODE UTF-8\r"
    "PID|||PAT1^^^HOSP||MUSTER^MAX||19800102|M\rPV1||O|||||^REFERRER^RITA\r"
    "ORC|SC|P{number}^RIS|F{number}||IP||||20260123130000+0100|||^REQUESTER^RUTH\r"
    "OBR|1|P{number}^RIS|F{number}|CTH^CT head^99RIS|||20260123130000+0100|||||||||^REQUESTER^RUTH||A{number}|RP|SPS"
    "||20260123130000+0100||CT\rZDS|1.2.3.{number}^RIS^Application^DICOM\r"
)


@dataclass(frozen=True)
class Measured:
    rate: float
    """Statuses in a second, from the first that came to the last."""
    cpu_micros: float
    """Of the gateway, for each status."""


def run(*, count: int, rounds: int, profile: Path | None = None) -> Report:
    """`count` statuses, each of an order of its own, on both databases; databases take turns."""
    measured: dict[str, list[Measured]] = {"SQLite": [], "PostgreSQL": []}
    for _ in range(rounds):
        for database, found in measured.items():
            found.append(_round(database, count, profile))
    rows, targets = [], []
    for database, found in measured.items():
        rate = statistics.median(one.rate for one in found)
        cpu = statistics.median(one.cpu_micros for one in found)
        rows.append((database, f"{rate:,.0f}", f"{min(one.rate for one in found):,.0f}", f"{cpu:,.0f}"))
        targets.append(at_least(f"S10 {database}, {LANES} lanes", "statuses/s", 1_000, rate))
    header = ("database", "statuses/s", "worst round", "CPU us/status")
    return Report([Table(f"S10 Statuses to a RIS that answers at once, {LANES} connections", header, rows)], targets)


def _round(database: str, count: int, profile: Path | None) -> Measured:
    with ExitStack() as stack:
        folder, url = empty_database(stack, database, "s10")
        receiver = stack.enter_context(subprocess.Popen(
            [sys.executable, "-m", "bench.fast_ris", str(count)], stdout=subprocess.PIPE, text=True
        ))  # fmt: skip
        stack.callback(receiver.terminate)
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        configuration = gateway_process.settings(url)
        configuration["hl7"]["destinations"] = [{"name": "ris", "port": port, "connections": LANES}]
        asyncio.run(_fill(url, count))
        gateway = stack.enter_context(gateway_process.running(folder, configuration, profile=profile))
        before = gateway.cpu_seconds()
        line = receiver.stdout.readline()
        seconds = re.fullmatch(r"(\d+) in ([\d.]+) s\n", line)
        if seconds is None or int(seconds[1]) != count:
            raise RuntimeError(f"not all were sent: {line!r}")
        return Measured(count / float(seconds[2]), (gateway.cpu_seconds() - before) / count * 1e6)


async def _fill(url: str, count: int) -> None:
    """`count` statuses that are due, each of an order of its own."""
    moment = now()

    def unit(connection: Connection) -> None:
        for number in range(count):
            message = MadeMessage(_TEXT.format(number=number), "utf_8", f"{number:020}")
            status = Status(
                OrderRow(1), PerformedStepRow(1), Progress.STARTED, StepEvent.PPS_START, moment, message=message
            )
            lane = Lane(status_to("ris"), StudyInstanceUID(f"1.2.3.{number}"))
            outbox.enqueue(connection, lane=lane, payload=status.as_payload(), due_at=moment, now=moment)

    store = await Store.open(url)
    await store.write(unit)
    await store.close()
