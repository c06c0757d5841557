"""A real console over a real database: a server on a free port, and rows written by the store's own functions."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web
from sqlalchemy import Connection, select

from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import message_tools
from gateway.config.tree import Config
from gateway.errors import Fate, Place, UnknownKey
from gateway.journey.performed_step.attaching import Tools
from gateway.journey.study_settling.targets import ResourcePreview
from gateway.operations.check import CheckFinding
from gateway.operations.page_views import PageViews
from gateway.operations.people.people import People
from gateway.operations.pictures import NO_PICTURES, Pictures
from gateway.operations.reloading import Reloaded
from gateway.operations.scanner_worklist import ScannerWorklist
from gateway.operations.state.components import Component
from gateway.operations.state.part import State
from gateway.operations.state.reading import state_of
from gateway.operations.state.sources import Process, Setup, Sources
from gateway.operations.system import System
from gateway.operations.why_not_shown import StepWhyNotShown, WhyNotShown
from gateway.records import performed_step
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival
from gateway.records.audit import AuditEvent
from gateway.records.availability import notified
from gateway.records.cause import cause_of_message
from gateway.records.completeness import Decision, Reason
from gateway.records.finding import Finding
from gateway.records.identifiers import AccessionNumber, SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.imaging_order import Order, Procedure, Step
from gateway.records.link_change import LinkAction, LinkChange
from gateway.records.lookup import MessageNumber, NumberKind
from gateway.records.message import WRONG, MessageState
from gateway.records.order import Number, OrderedProcedure, OrderedStep
from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, MatchedBy
from gateway.records.pixel_file import StoredFile
from gateway.records.receiver import Receiver, ReceiverType
from gateway.records.row_ids import MessageRow, OrderRow, StepRow
from gateway.records.step import StepEvent, StepState
from gateway.records.work import Lane, WorkKind
from gateway.store import (
    Store,
    availability,
    link_changes,
    message_numbers,
    message_ties,
    messages,
    order_book,
    outbox,
    outbox_claims,
    patients,
    performed_steps,
    pixel_files,
    refusals,
    scanner_queries,
    silent_steps,
    studies,
    study_arrivals,
    unlinked_items,
)
from gateway.store.scanner_queries import ScannerQuery
from gateway.store.schema import instances
from gateway.web.login import Door, Token
from gateway.web.server import build

SECOND = 1_000_000
NINE = 1_767_603_600 * SECOND
"""2026-01-05T09:00:00Z."""
STUDY = "1.2.826.0.1.3680043.8.498.1"
STRAY = "1.2.826.0.1.3680043.8.498.2"
ORM = (
    b"MSH|^~\\&|RIS|HOSP|GW|GW|20260105090000||ORM^O01|C1|P|2.3.1\rPID|1||4711^^^HOSP||Muster^Erika\r\n"
    b"ORC|NW|P1\rOBR|1|P1||CT1^CT head\r"
)


RECEIVERS = (
    Receiver("main", ReceiverType.EHR), Receiver("ris", ReceiverType.HL7), Receiver("pacs", ReceiverType.DICOM),
)  # fmt: skip
SCANNERS = ("CT1", "MR1")
A_REASON = WhyNotShown(
    AccessionNumber("A1"), "CT1", asked_at=NINE, answers=1, status=0, keys={"PatientID": "1"}, remarks=("late",),
    steps=(
        StepWhyNotShown(
            AccessionNumber("A1"), StudyInstanceUID(STUDY), "1", "A^B", "S1", "SCHEDULED", "CT1\\CT2",
            "20260105 0900", ("asked for MR",), NINE,
        ),
    ),
)  # fmt: skip


async def _reload() -> Reloaded:
    return Reloaded(NINE, ["line 3: no such key"], ["http.port"])


async def _check() -> Sequence[CheckFinding]:
    return ()


@dataclass
class Served:
    store: Store
    session: ClientSession
    application: web.Application = field(default_factory=web.Application)
    base: str = ""
    replayed: list[int] = field(default_factory=list)
    noted: list[AuditEvent] = field(default_factory=list)
    """Of the audit trail, beside what units of the writer record."""
    components: Callable[[], Awaitable[dict[str, Component]]] | None = None
    receivers: tuple[str, ...] = ()
    """Names of EHRs."""
    system: System = field(default_factory=lambda: System(_reload, tuple, _check))
    why: WhyNotShown = A_REASON
    scanner_worklist: Callable[[str, str], Awaitable[ScannerWorklist]] | None = None
    previews: Sequence[ResourcePreview] = ()
    ask_why: Callable[[str, str], Awaitable[WhyNotShown | None]] | None = None
    now: int = NINE + 3600 * SECOND

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.get(self.base + path, **options) as response:
            return response.status, await response.json()

    async def post(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.session.post(self.base + path, **options) as response:
            return response.status, await response.json()


@asynccontextmanager
async def served(
    database_url: str, *, token: str | None = None, pictures: Pictures = NO_PICTURES
) -> AsyncIterator[Served]:
    store = await Store.open(database_url)
    console = Served(store, ClientSession())

    async def components() -> dict[str, Component]:
        if console.components:
            return await console.components()
        return {"dicom": Component(True, "port 11112, 2 associations")}

    async def replay(message: MessageRow) -> str:
        if await store.read(lambda connection: messages.get(connection, message)) is None:
            raise UnknownKey(f"there is no message {message}", place=f"message {message}")
        console.replayed.append(message)
        return "AA"

    async def preview(_study_uid: StudyInstanceUID) -> Sequence[ResourcePreview]:
        return console.previews

    async def seen(station: str, day: str) -> ScannerWorklist:
        assert console.scanner_worklist is not None
        return await console.scanner_worklist(station, day)

    async def why(accession: str, station: str) -> WhyNotShown | None:
        if console.ask_why:
            return await console.ask_why(accession, station)
        return console.why if accession == "A1" else None

    async def state() -> State:
        receivers = tuple(Receiver(name, ReceiverType.EHR) for name in console.receivers)
        setup = Setup(listeners=("ris",), receivers=receivers)
        return await state_of(store, Sources(setup, Process(components), "1.2.3", lambda: console.now))

    async def read_again(_study_uid: StudyInstanceUID, first: Callable[[Connection], None]) -> int:
        await store.write(first)
        return 3

    application = build(
        store,
        door=Door(Token.of(token), People(store, lambda: console.now, elapsed=lambda: 0)),
        components=components,
        replay_message=replay,
        why=why,
        read_again=read_again,
        clock=lambda: console.now,
        version="1.2.3",
        receivers=RECEIVERS,
        views=PageViews(SCANNERS, seen, preview, pictures),
        state=state,
        system=System(
            lambda: console.system.reload(),
            lambda: console.system.settings(),
            lambda: console.system.check(),
            lambda name: console.system.statement(name),
        ),
        message_tools=lambda: message_tools(Config(), store, load_mappings(Config()), lambda: console.now),
        links=Tools(lambda _connection, order: [as_ordered(order)], ()),
        note=console.noted.append,
    )
    console.application = application
    runner = web.AppRunner(application, access_log=None)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        console.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield console
    finally:
        await console.session.close()
        await runner.cleanup()
        await store.close()


def add_message(
    connection: Connection,
    *,
    at: int = NINE,
    state: str = "applied",
    body: bytes = ORM,
    findings: list[dict[str, str]] | None = None,
    type: str = "ORM^O01",
    unserved: bool = False,
) -> MessageRow:
    code = "AA" if state == "applied" else "AE"
    wrong = MessageState(state) in WRONG and not unserved
    cause = cause_of_message((findings or [{"place": "", "text": "unknown"}])[0]).key if wrong else ""
    row = messages.add(
        connection, received_at=at, listener="ris", peer="127.0.0.1", sender="RIS|HOSP", control_id="C1",
        type=type, digest=b"\0" * 32, body=body, state=MessageState(state), ack_code=code,
        ack=f"MSH|^~\\&|GW\rMSA|{code}|C1\r".encode(), findings=findings or [], unserved=unserved,
        cause=cause,
    )  # fmt: skip
    if state in WRONG:
        message_numbers.keep(connection, row, [MessageNumber(NumberKind.NUMBER, "4711")])
    return row


def add_order(
    connection: Connection,
    *,
    accession: str = "A100",
    patient_id: str = "4711",
    study_uid: str = STUDY,
    station_ae: str = "CT1",
    state: str = "SCHEDULED",
    at: int = NINE,
) -> tuple[OrderRow, StepRow]:
    """(order, step) of a patient, one procedure, one CT step."""
    who = Identity(patient_id, "HOSP")
    known = patients.find(connection, who)
    name = {"PatientName": "Muster^Erika"}
    patient = known["id"] if known else patients.add(connection, who, attributes=name, stamps={}, first_at=at, now=at)
    step = {
        "ScheduledProcedureStepID": "SPS1",
        "ScheduledStationAETitle": station_ae,
        "ScheduledProcedureStepStartDate": "20260105",
        "ScheduledProcedureStepStartTime": "1030",
        "Modality": "CT",
    }
    procedure = {
        "StudyInstanceUID": study_uid,
        "RequestedProcedureID": "RP1",
        "RequestedProcedureDescription": "CT head",
    }
    steps = (Step("SPS1", StepState(state), step, derived=False),)
    order = Order(
        authority="HOSP",
        sender="HOSP",
        placer=Number(f"P{accession}", "RIS"),
        filler=Number("", ""),
        parent="",
        attributes={"AccessionNumber": accession},
        event_at=at,
        procedures=(Procedure(procedure, frozenset(), at, steps),),
        patient=patient,
    )
    row = order_book.save(connection, None, order, now=at)
    step_row = order_book.get(connection, row).procedures[0].steps[0].row
    assert step_row is not None
    return row, step_row


def add_instance(
    connection: Connection,
    number: int,
    *,
    at: int,
    study_uid: str = STUDY,
    accession: str = "A100",
    patient_id: str = "4711",
) -> None:
    arrival = InstanceArrival(
        study_uid=StudyInstanceUID(study_uid),
        study={
            "StudyDescription": "CT head", "AccessionNumber": accession, "PatientID": patient_id,
            "IssuerOfPatientID": "HOSP",
        },
        series_uid=SeriesInstanceUID(f"{study_uid}.{number % 2}"),
        series={"Modality": "CT"}, sop_uid=SOPInstanceUID(f"{study_uid}.9.{number}"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2", instance={"InstanceNumber": str(number)},
        transfer_syntax_uid="1.2.840.10008.1.2.1", header=zlib.compress(b"header"), digest=bytes([number]) * 32,
        source_ae="ORTHANC", received_at=at,
    )  # fmt: skip
    study_arrivals.keep(connection, arrival, AgreementRules())


def add_delivery(
    connection: Connection,
    *,
    at: int,
    study_uid: str = STUDY,
    kind: str = "ehr:main",
    fate: Fate | None = None,
    outcome: dict[str, Any] | None = None,
) -> int:
    """A delivery that was tried once; without a fate it succeeded."""
    row = outbox.enqueue(
        connection, lane=Lane(WorkKind.of(kind), StudyInstanceUID(study_uid)), payload={}, due_at=at, now=at
    )
    (work,) = outbox_claims.claim(connection, kind=WorkKind.of(kind), now=at, lease_micros=SECOND, limit=1)
    if fate is None:
        outbox_claims.succeed(connection, work, now=at + SECOND, outcome=outcome or {})
    else:
        outbox_claims.fail(connection, work, fate, now=at + SECOND, due_at=at + 60 * SECOND, outcome=outcome or {})
    return row


def add_images(connection: Connection) -> None:
    """Of the three instances of the study one is at the archive `pacs`, which refused another."""
    for number, fate in ((0, None), (1, Fate.PARK)):
        uid = f"{STUDY}.9.{number}"
        row = connection.execute(select(instances.c.id).where(instances.c.sop_uid == uid)).scalar_one()
        stored = StoredFile(f"ab/cdef/{number}.dcm", 100, bytes(32))
        pixel_files.keep(connection, row, stored, "1.2.840.10008.1.2.1", NINE + 1800 * SECOND)
        add_delivery(connection, at=NINE + 1850 * SECOND, study_uid=uid, kind="store:pacs", fate=fate)


def whole_journey(connection: Connection) -> dict[str, Any]:
    """An order, two queries, three instances in two series, settled, delivered; ids by name."""
    message = add_message(connection)
    order, step = add_order(connection)
    message_ties.tie(connection, message, {order: "created"})
    for minute in (10, 20):
        asked = ScannerQuery(NINE + minute * 60 * SECOND, "CT1", "127.0.0.1", {}, 0, [step], 900)
        scanner_queries.log(connection, [asked])
    for number in range(3):
        add_instance(connection, number, at=NINE + (1800 + number) * SECOND)
    study = studies.get(connection, StudyInstanceUID(STUDY))
    assert study is not None
    findings = [Finding("StudyDate", "started: '20261399' is no date; it is left out")]
    studies.mark_settled(
        connection, study["id"], revision=study["revision"], now=NINE + 1840 * SECOND,
        because=Decision(Reason.QUIET), findings=findings,
    )  # fmt: skip
    delivery = add_delivery(connection, at=NINE + 1840 * SECOND, outcome={"status": 201, "id": "is-1", "version": "1"})
    return {"message": message, "order": order, "step": step, "delivery": delivery}


def add_performed_step(connection: Connection, order: OrderRow) -> None:
    """An examination of the step of an order, which has ended."""
    item = {"StudyInstanceUID": STUDY, "ScheduledProcedureStepID": "SPS1", "AccessionNumber": "A100"}
    begun = performed_step.begun({"ScheduledStepAttributesSequence": [item]})
    row = performed_steps.add(
        connection, f"{STUDY}.9", begun, calling_ae="CT1", digest=b"", begun_at=NINE + SECOND, now=NINE + SECOND
    )
    candidate = Candidate(order, STUDY, "RP1", "SPS1", Identity("4711", "HOSP"))
    performed_steps.link(connection, row, candidate, MatchedBy.STEP)
    ended = performed_step.updated(begun, {"PerformedProcedureStepStatus": "COMPLETED"})
    held = performed_steps.hold_row(connection, row)
    assert held is not None
    performed_steps.change(connection, held, ended, ended_at=NINE + 2 * SECOND, now=NINE + 2 * SECOND)


UNLINKED = f"{STUDY}.10"


def add_unlinked_step(connection: Connection, order: OrderRow) -> None:
    """An examination that names no order, was linked to one by mistake, and may be of it all the same."""
    item = {"StudyInstanceUID": "1.2.9"}
    stated = {"PatientID": "4711", "Modality": "CT", "PerformedProcedureStepStartDate": "20260105"}
    begun = performed_step.begun({"ScheduledStepAttributesSequence": [item], **stated})
    row = performed_steps.add(
        connection, UNLINKED, begun, calling_ae="CT1", digest=b"", begun_at=NINE + SECOND, now=NINE + SECOND
    )
    [waiting] = performed_step.scheduled_items(begun.attributes)
    unlinked_items.add(connection, row, waiting, by_person=True)
    silent_steps.mark(connection, row, NINE + 2 * SECOND)
    candidate = Candidate(order, STUDY, "RP1", "SPS1", Identity("4711", "HOSP"))
    for action in LinkAction:
        link_changes.add(connection, row, LinkChange(action, candidate, "anna", "a mistake", NINE + SECOND))


def as_ordered(order: Order) -> OrderedProcedure:
    """The message that ordered it."""
    [procedure] = order.procedures
    return OrderedProcedure(
        place=Place("ORC"), event=StepEvent.NEW, control="NW", event_at=NINE, patient={}, order=order.attributes,
        procedure=procedure.attributes, steps=tuple(OrderedStep(one.attributes) for one in procedure.steps),
        authority=order.authority, sender=order.sender, placer=order.placer,
    )  # fmt: skip


def add_notification(connection: Connection) -> None:
    stated = notified({"StudyInstanceUID": STUDY, "ReferencedSeriesSequence": []})
    availability.add(connection, "1.2.10", stated, calling_ae="ARCHIVE", now=NINE)


def add_refusal(connection: Connection, reason: str = "too large") -> int:
    return refusals.add(connection, refused_at=NINE, source="ris 127.0.0.1", reason=reason, body=b"MSH|")
