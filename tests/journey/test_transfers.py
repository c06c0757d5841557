"""What the audit trail has of a transfer of which an instance could not be kept."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import make_arrival
from gateway.clock import now
from gateway.journey.study_arrival.incoming import Incoming, Sender
from gateway.journey.study_arrival.transfers import Transfers
from gateway.records.audit import AuditEvent, AuditKind
from gateway.store import Store
from tests.journey.running import config_of, sqlite
from tests.journey.test_study_findings import image
from tests.store.test_study_arrivals import FIRST

NEXT = replace(FIRST, received_at=FIRST.received_at + 1)
SENDER = Sender("CT1", "127.0.0.1", transfer=object())


def test_the_first_instance_that_is_kept_has_the_beginning() -> None:
    noted: list[AuditEvent] = []
    transfers = Transfers(noted.append)
    assert transfers.began(SENDER, FIRST) is not None
    transfers.not_kept(SENDER, FIRST)
    begun = transfers.began(SENDER, NEXT)
    assert begun is not None
    assert (begun.kind, begun.moment) == (AuditKind.BEGINNING_TRANSFER, NEXT.received_at)
    transfers.count(SENDER, NEXT, is_new=True)
    assert transfers.began(SENDER, NEXT) is None
    transfers.ended(SENDER, NEXT.received_at)
    assert [one.note for one in noted] == ["1 instances, 0 of them were here already"]


def test_a_study_of_which_nothing_was_kept_was_not_transferred() -> None:
    noted: list[AuditEvent] = []
    transfers = Transfers(noted.append)
    transfers.began(SENDER, FIRST)
    transfers.not_kept(SENDER, FIRST)
    transfers.ended(SENDER, NEXT.received_at)
    assert noted == []


@sqlite
async def test_a_transfer_that_ends_amid_an_instance_has_an_end(store: Store, database_url: str) -> None:
    """The instance is kept nevertheless, with the event of the beginning."""
    noted: list[AuditEvent] = []
    config = config_of(database_url)
    arrival = make_arrival(config, store, load_mappings(config), now, Transfers(noted.append))
    release = threading.Event()
    holding = asyncio.create_task(store.write(lambda _connection: release.wait()))
    data = encode(image(number="1"), True, True)
    assert data is not None
    keeping = asyncio.create_task(arrival.keep(Incoming(SENDER, ImplicitVRLittleEndian, data), str))
    await asyncio.sleep(0)  # both have handed over what they write
    keeping.cancel()
    await asyncio.wait([keeping])
    arrival.transfer_ended(SENDER)
    release.set()
    await holding
    assert [one.kind for one in noted] == [AuditKind.INSTANCES_TRANSFERRED]
