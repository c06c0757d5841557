"""A gateway on a bad day: 300 orders, 250 messages not applied for 3 causes, 40 parked deliveries, an EHR away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.made_studies import made_study
from bench.ports import free_port
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.store import Store, outbox_listing
from tests.conftest import comes_true
from tests.faults.whole_gateway import WholeGateway, running

ORDERS: Final = 300
PARKED: Final = 40
UNKNOWN, NOBODY, NUMBERLESS = 120, 80, 50
"""Messages of a code that no table has; without a patient's identifier; without an order's number."""
DAY: Final = "20300107"


@dataclass
class BusyGateway:
    """A gateway process and the EHRs that it delivers to; `away` listens nowhere."""

    gateway: WholeGateway
    ehr: EhrSimulator
    database_url: str

    @property
    def base(self) -> str:
        """Address of the console, without a trailing slash."""
        return f"http://127.0.0.1:{self.gateway.http}"


@asynccontextmanager
async def gateway_in(folder: Path, database_url: str | None = None) -> AsyncIterator[BusyGateway]:
    """A gateway to which nothing has happened yet, with an EHR that answers, and one that is away."""
    url = database_url or f"sqlite:///{folder}/gateway.db"
    async with EhrSimulator() as ehr, running(folder, url, _settings(ehr.url)) as gateway:
        yield BusyGateway(gateway, ehr, url)


def _settings(ehr_url: str) -> dict[str, Any]:
    return {
        "site": {"name": "General Hospital", "timezone": "Europe/Berlin", "patient_id_issuer": "RIS"},
        "studies": {"quiet_seconds": 0.5},
        "ehrs": [
            {"name": "main", "url": ehr_url},
            {"name": "archive", "url": f"http://127.0.0.1:{free_port()}/fhir"},
        ],
    }


async def fill(busy: BusyGateway) -> None:
    """Let the day happen, over HL7, DICOM and FHIR."""
    orders = [order.hl7() for order in ris.orders(7, ORDERS)]
    wrong = [_wrong(number) for number in range(UNKNOWN + NOBODY + NUMBERLESS)]
    await ris.send("127.0.0.1", busy.gateway.hl7, [*orders, *wrong], concurrency=4)
    busy.ehr.manners = replace(Manners(), fail_next=1_000_000, status=422)
    for number in range(PARKED):
        await modality.send(
            "127.0.0.1", busy.gateway.dicom, made_study(number, series=1, instances=2), calling_ae="CT1"
        )
    await modality.query("127.0.0.1", busy.gateway.dicom, calling_ae="CT1", accession_number="00007000003")
    store = await Store.open(busy.database_url)
    try:
        await comes_true(lambda: _parked(store))
    finally:
        await store.close()


async def _parked(store: Store) -> bool:
    counts = await store.read(outbox_listing.counts)
    return sum(number for kind, state, number in counts if (kind, state) == ("ehr:main", "parked")) >= PARKED


def _wrong(number: int) -> bytes:
    """A message that is refused; made of an order, so that all else in there is right."""
    [order] = ris.orders(1000 + number, 1)
    segments = order.hl7().split(b"\r")
    if number < UNKNOWN:
        return b"\r".join(b"ORC|ZZ" + one[6:] if one.startswith(b"ORC|") else one for one in segments)
    if number < UNKNOWN + NOBODY:
        return b"\r".join(_without(one, b"PID", 3) for one in segments)
    return b"\r".join(_without(_without(one, b"ORC", 2, 3), b"OBR", 2, 3, 18) for one in segments)


def _without(segment: bytes, name: bytes, *fields: int) -> bytes:
    if not segment.startswith(name + b"|"):
        return segment
    values = segment.split(b"|")
    return b"|".join(b"" if at in fields else value for at, value in enumerate(values))
