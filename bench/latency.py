"""S8: what people feel: an order sent until a scanner sees it, a study settled until the EHR has it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import Dataset
from sqlalchemy import select

from bench import gateway_process
from bench.dicom_client import Association, encoded
from bench.figures import Report, Table, at_most, milliseconds, percentile
from bench.gateway_process import Gateway
from bench.mllp_load import ACCEPTED
from bench.worklist import asked_for
from gateway.records.work import SETTLE
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.studies import perform
from gateway.store import Store
from gateway.store.schema import outbox
from gateway.wire.hl7.mllp_client import MllpClient

QUIET_SECONDS = 0.5
LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    """Seconds of one order."""

    acknowledged: float
    found: float
    """The query that follows the AA."""


def run(*, orders: int, studies: int) -> Report:
    return asyncio.run(_run(orders, studies))


async def _run(orders: int, studies: int) -> Report:
    with tempfile.TemporaryDirectory(prefix="bench-s8-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder}/gateway.db"
        async with EhrSimulator() as ehr:
            configuration = gateway_process.settings(url, ehr.url, quiet_seconds=QUIET_SECONDS)
            process = gateway_process.running(folder, configuration)
            gateway = await asyncio.to_thread(process.__enter__)
            try:
                seen = await _orders(gateway, orders)
                await _studies(gateway, studies, ehr)
            finally:
                await asyncio.to_thread(process.__exit__, None, None, None)
            told = await _told(url, ehr)
    return _report(seen, told)


async def _orders(gateway: Gateway, number: int) -> list[Seen]:
    """One at a time: send, AA, query; the first ten do not count."""
    seen = []
    async with MllpClient("127.0.0.1", gateway.hl7_port) as client:
        with Association(gateway.dicom_port) as association:
            for order in ris.orders(8, number + 10):
                message, question = order.hl7(), encoded(asked_for(AccessionNumber=order.accession_number))
                begun = time.perf_counter()
                answer = await client.send(message)
                acknowledged = time.perf_counter() - begun
                found = await asyncio.to_thread(association.find, question)
                if ACCEPTED not in answer or found.matches != 1:
                    raise RuntimeError(f"{found.matches} matches after {answer!r}")
                seen.append(Seen(acknowledged, found.seconds))
    return seen[10:]


async def _studies(gateway: Gateway, number: int, ehr: EhrSimulator) -> None:
    """Perform the first orders, six images each, and wait until the EHR has all of them."""
    for order in ris.orders(8, number):
        [item] = await modality.query("127.0.0.1", gateway.dicom_port, accession_number=order.accession_number)
        await modality.send("127.0.0.1", gateway.dicom_port, _images(item))
    end = time.monotonic() + LIMIT_SECONDS
    while len(ehr.resources("ImagingStudy")) < number:
        if time.monotonic() > end:
            raise RuntimeError(f"the EHR has {len(ehr.resources('ImagingStudy'))} of {number} studies")
        await asyncio.sleep(0.05)


def _images(item: Dataset) -> list[Dataset]:
    return perform(item, series=2, instances=3)


async def _told(url: str, ehr: EhrSimulator) -> list[float]:
    """Seconds from the moment at which each study was due until the EHR kept its resource; in the EHR's order."""
    store = await Store.open(url)
    try:
        wanted = select(outbox.c.subject, outbox.c.due_at).where(outbox.c.kind == str(SETTLE))
        due = await store.read(lambda connection: {row.subject: row.due_at for row in connection.execute(wanted)})
    finally:
        await store.close()
    told = []
    for resource in ehr.resources("ImagingStudy"):
        [uid] = [one["value"] for one in resource["identifier"] if one["system"] == "urn:dicom:uid"]
        kept = datetime.fromisoformat(resource["meta"]["lastUpdated"]).timestamp()
        told.append(kept - due[uid.removeprefix("urn:oid:")] / 1e6)
    return told


def _report(seen: Sequence[Seen], told: Sequence[float]) -> Report:
    visible = [one.acknowledged + one.found for one in seen]
    series = {
        f"order sent -> AA ({len(seen)} orders)": [one.acknowledged for one in seen],
        "query by accession that follows": [one.found for one in seen],
        "order sent -> seen in the worklist": visible,
        f"study due -> kept by the EHR ({len(told)} studies)": told,
        "   without the first after the start": told[1:],
    }
    rows = [
        (name, milliseconds(percentile(times, 50)), milliseconds(percentile(times, 99)), milliseconds(max(times)))
        for name, times in series.items()
    ]
    notes = (f"One order at a time on one MLLP connection and one association; quiet_seconds {QUIET_SECONDS}.",)
    return Report(
        [Table("S8 Latencies, SQLite FULL", ("S8", "p50 ms", "p99 ms", "max ms"), rows, notes)],
        [
            at_most("S8 order sent -> seen, p99", "ms", 20, percentile(visible, 99) * 1000),
            at_most("S8 study due -> in the EHR, p99", "ms", 100, percentile(told, 99) * 1000),
        ],
    )
