"""S9: 8 modalities begin and end examinations by MPPS, each request answered once it is durable."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom import Dataset

from bench import gateway_process, order_book
from bench.databases import empty_database
from bench.dicom_client import MPPS_CONTEXTS, Association, encoded, performed_step_request
from bench.figures import Report, Table, at_least, at_most, milliseconds, percentile
from gateway.simulators import performed_steps

MODALITIES: Final = 8
IMAGES: Final = 3
"""That the end of each examination names."""


@dataclass(frozen=True)
class Measured:
    rate: float
    """Pairs of N-CREATE and N-SET in a second, all modalities together."""
    seconds: list[float]
    """Of each request, until its response."""
    cpu_micros: float
    """Of the gateway, for each pair."""
    busy: float
    """Of a core, by the modalities themselves."""


def run(*, pairs: int, rounds: int, profile: Path | None = None) -> Report:
    """`pairs` examinations of scheduled steps in each round, on both databases; databases take turns."""
    measured: dict[str, list[Measured]] = {"SQLite": [], "PostgreSQL": []}
    for _ in range(rounds):
        for database, results in measured.items():
            results.append(_round(database, pairs, profile))
    rows, targets = [], []
    for database, results in measured.items():
        rate = statistics.median(one.rate for one in results)
        p50, p99 = (statistics.median(percentile(one.seconds, wanted) for one in results) for wanted in (50, 99))
        cpu = statistics.median(one.cpu_micros for one in results)
        busy = statistics.median(one.busy for one in results)
        rows.append((database, f"{rate:,.0f}", milliseconds(p50), milliseconds(p99), f"{cpu:,.0f}", f"{busy:.0%}"))
        targets.append(at_least(f"S9 {database}", "pairs/s", 1_000, rate))
        targets.append(at_most(f"S9 {database}, p99 of a response", "ms", 20, p99 * 1000))
    header = ("database", "pairs/s", "p50 ms", "p99 ms", "CPU us/pair", "modalities' CPU, % of a core")
    title = f"S9 MPPS: N-CREATE and N-SET, {MODALITIES} modalities, median of {rounds}"
    return Report([Table(title, header, rows)], targets)


def _round(database: str, pairs: int, profile: Path | None) -> Measured:
    with ExitStack() as stack:
        folder, url = empty_database(stack, database, "s9")
        order_book.filled(url, pairs)
        examinations = [requests(item) for item in order_book.items(range(pairs))]
        gateway = stack.enter_context(gateway_process.running(folder, gateway_process.settings(url), profile=profile))
        modalities = [
            stack.enter_context(Association(gateway.dicom_port, calling_ae=f"CT{number}", contexts=MPPS_CONTEXTS))
            for number in range(MODALITIES)
        ]
        shares = [examinations[number::MODALITIES] for number in range(MODALITIES)]
        cpu, own, begun = gateway.cpu_seconds(), time.process_time(), time.perf_counter()
        with ThreadPoolExecutor(MODALITIES) as pool:
            seconds = [one for share in pool.map(_perform, modalities, shares) for one in share]
        passed = time.perf_counter() - begun
        cost = (gateway.cpu_seconds() - cpu) / pairs * 1e6
        return Measured(pairs / passed, seconds, cost, (time.process_time() - own) / passed)


def requests(item: Dataset) -> tuple[bytes, bytes]:
    uid = performed_steps.new_uid()
    begun = encoded(performed_steps.begun(item, "CT"))
    ended = encoded(performed_steps.ended(_images(item)))
    return (
        performed_step_request(uid, begun, is_begin=True),
        performed_step_request(uid, ended, is_begin=False),
    )


def _images(item: Dataset) -> list[Dataset]:
    made = []
    for number in range(IMAGES):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"{item.StudyInstanceUID}.1.{number}"
        image.SeriesInstanceUID = f"{item.StudyInstanceUID}.1"
        made.append(image)
    return made


def _perform(modality: Association, examinations: Sequence[tuple[bytes, bytes]]) -> list[float]:
    seconds = []
    for requests in examinations:
        for request in requests:
            answer = modality.perform(request)
            if answer.status:
                raise RuntimeError(f"the gateway answered {answer.status:04X}")
            seconds.append(answer.seconds)
    return seconds
