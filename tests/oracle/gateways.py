"""Gateways for histories: stations in this process whose clock shows each receipt, or whole ones behind sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Final

import orjson
from pydicom.dataset import Dataset

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import make_intake
from gateway.assembly.readers import make_reader
from gateway.assembly.worklist import rules_of
from gateway.config.site import Site
from gateway.journey.order_intake.station import OrderIntake
from gateway.journey.worklist.query import Query
from gateway.journey.worklist.query_log import QueryLog
from gateway.journey.worklist.station import Worklist
from gateway.store import Store
from gateway.wire.hl7.mllp_client import MllpClient
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.worklist.items import Item, Stored
from tests.journey.running import config_of
from tests.one_transaction import one_transaction
from tests.oracle.moments import ZONE
from tests.oracle.nodes import Nodes, Shown, Way
from tests.peers.dcmtk import findscu

SITE: Final = Site(name="Test site", patient_id_issuer="HOSP", timezone=str(ZONE))
PEER: Final = MllpPeer("127.0.0.1", 1)
_RECEIVED: ContextVar[int] = ContextVar("received", default=1_900_000_000_000_000)
"""Microseconds; each task has its own."""


def share(database_url: str) -> int:
    """How many gateways: SQLite is one's; on PostgreSQL two share the messages, some of which come at one time."""
    return 2 if database_url.startswith("postgresql") else 1


@asynccontextmanager
async def stations(database_url: str, number: int) -> AsyncIterator[Nodes]:
    """The intake and worklist stations of so many gateways, each with its own store."""
    config = config_of(database_url, site=SITE)
    mappings = load_mappings(config)
    reader = make_reader(config, mappings)
    async with AsyncExitStack() as stack:
        stores = [await Store.open(database_url) for _ in range(number)]
        for store in stores:
            stack.push_async_callback(store.close)
        listener = config.hl7.listeners[0]
        intakes = [make_intake(config, listener, store, reader, _RECEIVED.get) for store in stores]
        worklist = Worklist(stores[0], rules_of(config, mappings), _RECEIVED.get, QueryLog(stores[0]))

        async def ask(patients: Collection[str]) -> Collection[Shown]:
            answers: dict[int, bytes] = {}
            for patient in patients:
                query = Query("ANY", PEER.host, Stored({"PatientID": patient}))
                answers |= (await worklist.matches(query, lambda form: _written)).answers
            return [orjson.loads(answer) for answer in answers.values()]

        yield Nodes([_way(intake) for intake in intakes], ask, partial(one_transaction, stores))


def _way(intake: OrderIntake) -> Way:
    async def send(raw: bytes, received: int) -> bytes:
        _RECEIVED.set(received)
        [answer] = await intake.receive(raw, PEER) or [b""]
        return answer

    return send


def _written(item: Item) -> bytes:
    step = item[0x00400100].items[0]
    elements = [
        item[0x00100020], item[0x00100010], item[0x00080050], item[0x00401001], step[0x00400009], step[0x00400002],
        step[0x00400003],
    ]  # fmt: skip
    patient, name, accession, procedure, step_id, day, time = ("".join(element.values) for element in elements)
    return orjson.dumps([patient, name.partition("^")[0], accession, procedure, step_id, f"{day}{time[:4]}"])


@asynccontextmanager
async def served(database_url: str, number: int) -> AsyncIterator[Nodes]:
    """So many whole gateways: messages go over MLLP, queries over DIMSE; the time of receipt is that of the test."""
    config = config_of(database_url, site=SITE)
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(app.running(config)) for _ in range(number)]
        clients = [await stack.enter_async_context(MllpClient("127.0.0.1", one.hl7_ports["ris"])) for one in gateways]

        async def ask(patients: Collection[str]) -> Collection[Shown]:
            found = {}
            for patient in patients:
                for item in (await findscu(gateways[-1].dicom_port, f"PatientID={patient}", *_KEYS)).items:
                    shown = _of_data_set(item)
                    found[shown[2:5]] = shown
            return list(found.values())

        yield Nodes([_connection(client) for client in clients], ask)


_KEYS: Final = (
    "PatientName", "AccessionNumber", "RequestedProcedureID",
    *(f"ScheduledProcedureStepSequence[0].ScheduledProcedureStep{one}" for one in ("ID", "StartDate", "StartTime")),
)  # fmt: skip


def _of_data_set(item: Dataset) -> Shown:
    [step] = item.ScheduledProcedureStepSequence
    ids = str(item.AccessionNumber), str(item.RequestedProcedureID), str(step.ScheduledProcedureStepID)
    start = step.ScheduledProcedureStepStartDate + step.ScheduledProcedureStepStartTime[:4]
    return str(item.PatientID), str(item.PatientName).partition("^")[0], *ids, start


def _connection(client: MllpClient) -> Way:
    async def send(raw: bytes, received: int) -> bytes:
        return await client.send(raw)

    return send
