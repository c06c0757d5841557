"""Retention on rows that real messages, images and performed steps made: what goes, what stays, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Update, func, select, text, update

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.retention import RetentionSection
from gateway.errors import Conflict
from gateway.operations.retention import Ended, RetentionRun
from gateway.operations.retention_pace import Pace
from gateway.operations.retention_preview import preview
from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.records.retention import DAY, Ages, RetentionKind, Stays
from gateway.simulators.ehr import EhrSimulator
from gateway.store import Store, legal_holds, retention_runs, settling
from gateway.store.retention import studies as study_rules
from gateway.store.schema import metadata, orders, outbox, steps, studies
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.messages import adt, orm
from tests.journey.modality import begin, end, item, modality_of, series
from tests.journey.running import Start, quiet
from tests.journey.test_named_instances import reference
from tests.journey.test_study_arrival import sample, send

K = RetentionKind
YEAR = 365
ALL = Ages(dict.fromkeys(K, YEAR))
LATER = YEAR + 30
NOTHING_OF_PATIENTS = {
    "retention_runs", "heartbeats", "deleted_studies", "legal_holds", "audit", "audit_patients", "audit_waiting",
    "audit_anchors", "audit_repositories", "alembic_version", "unknown_codes", "pauses", "backups",
    "source_watermarks", "source_studies",
}  # fmt: skip
UID = "1.2.3.4.5"
MPPS = "1.9.1"
sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""The statements are those of the tests beside, which both databases do."""


def counts(connection: Connection) -> dict[str, int]:
    """Table -> rows, of those that have any."""
    numbers = {
        name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for name, table in metadata.tables.items()
    }
    return {name: number for name, number in numbers.items() if number}


async def left(store: Store) -> dict[str, int]:
    """Rows of the tables that may hold something of a patient."""
    rows = await store.read(counts)
    return {name: number for name, number in rows.items() if name not in NOTHING_OF_PATIENTS}


async def retained(store: Store, ages: Ages = ALL, *, days: int = LATER) -> Ended:
    return await RetentionRun(store, ages, lambda: now() + days * DAY, pace=Pace(unit_seconds=1)).run()


async def changed(store: Store, statement: Update) -> None:
    await store.write(lambda connection: connection.execute(statement).rowcount)


async def ordered(gateway: app.Running, *messages: bytes) -> None:
    async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
        for message in messages:
            assert b"MSA|AA" in await ris.send(message)


def image(uid: str = UID, *, patient: str = "PAT1", accession: str = "ACC1", number: int = 1) -> Any:
    dataset: Any = sample()
    dataset.StudyInstanceUID, dataset.PatientID, dataset.AccessionNumber = uid, patient, accession
    dataset.IssuerOfPatientID = "HOSP"
    dataset.SeriesInstanceUID = f"{uid}.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{uid}.1.{number}"
    return dataset


async def examined(gateway: app.Running) -> None:
    """An order, begun and ended at the scanner, with its image at the EHR."""
    await ordered(gateway, orm(start="20260123090000"), adt("A08", control_id="A1"))
    modality = modality_of(gateway)
    scheduled = item(UID, "ACC1", "RP1", "SPS1")
    assert (await modality.create(begin(scheduled), MPPS)).status == 0
    assert (await modality.set(end(), MPPS)).status == 0
    assert await send(gateway, image()) == [0]
    await quiet(gateway)


def stayed(ended: Ended, kind: RetentionKind) -> Mapping[str, int]:
    return dict(ended.tallies[kind].stayed)


async def test_a_finished_examination_goes_whole_and_comes_back_as_new(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await examined(gateway)
        assert (await left(gateway.store)).keys() >= {"orders", "studies", "instances", "outbox", "ehr_resources"}
        early = await retained(gateway.store, days=YEAR - 1)
        assert all(not tally.deleted for tally in early.tallies.values()), "nothing is old enough"
        planned = await preview(gateway.store, ALL, now() + LATER * DAY)
        assert planned[K.STUDIES].deleted == {"studies": 1}
        assert planned[K.ORDERS].stayed == {Stays.STUDY: 1}, "until the study is gone, in the same run"
        ended = await retained(gateway.store)
        assert await left(gateway.store) == {}
        assert ended.tallies[K.ORDERS].deleted["orders"] == 1
        assert ended.tallies[K.ORDERS].deleted["performed_steps"] == 1
        await ordered(gateway, orm(start="20260123090000"))
        assert await send(gateway, image()) == [0]
        await quiet(gateway)
        assert len(ehr.resources("ImagingStudy")) == 1, "the EHR is asked before a second one is made"


@sqlite
async def test_without_ages_nothing_goes(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await examined(gateway)
        before = await left(gateway.store)
        ended = await retained(gateway.store, Ages(), days=10_000)
        assert ended.tallies == {}
        assert await left(gateway.store) == before


@sqlite
async def test_an_open_order_stays_with_its_study_until_it_counts_as_forgotten(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(start="20260123090000"))
        await quiet(gateway)
        ended = await retained(gateway.store)
        assert stayed(ended, K.ORDERS) == {Stays.OPEN: 1}
        assert stayed(ended, K.MESSAGES) == {Stays.ORDER: 1}
        assert stayed(ended, K.PATIENTS) == {Stays.NAMED: 1}
        await send(gateway, image())
        await quiet(gateway)
        await changed(gateway.store, update(steps).values(state="SCHEDULED"))
        assert stayed(await retained(gateway.store), K.STUDIES) == {Stays.OPEN: 1}
        await retained(gateway.store, Ages(dict.fromkeys(K, YEAR), open_orders_days=YEAR))
        assert await left(gateway.store) == {}


HOLDS = (
    LegalHold(HoldOn.PATIENT, "PAT1"), LegalHold(HoldOn.PATIENT, "PAT1", "HOSP"), LegalHold(HoldOn.ACCESSION, "ACC1"),
)  # fmt: skip


async def test_what_is_on_legal_hold_stays_until_it_is_released(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await examined(gateway)
        for hold in HOLDS:
            await gateway.store.write(partial(legal_holds.begin, hold=hold, person="anna", note="case 7", now=now()))
            with pytest.raises(Conflict):
                await gateway.store.write(partial(legal_holds.begin, hold=hold, person="anna", note="", now=now()))
            ended = await retained(gateway.store)
            assert stayed(ended, K.STUDIES) == {Stays.HELD: 1}, hold
            assert stayed(ended, K.ORDERS) == {Stays.HELD: 1}, hold
            await gateway.store.write(partial(legal_holds.end, hold=hold, person="anna", note="closed", now=now()))
        await retained(gateway.store)
        assert await left(gateway.store) == {}


async def test_what_is_not_delivered_stays_with_its_order_and_messages(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await examined(gateway)
        last = select(func.max(outbox.c.id)).where(outbox.c.subject == UID).scalar_subquery()
        for state in ("pending", "leased", "parked", "rejected"):
            values = {"state": state, "due_at": 2**60, "lease_until": 2**60}
            await changed(gateway.store, update(outbox).where(outbox.c.id == last).values(**values))
            ended = await retained(gateway.store)
            assert stayed(ended, K.STUDIES) == {Stays.UNDELIVERED: 1}, state
            assert stayed(ended, K.ORDERS) == {Stays.UNDELIVERED: 1}, state
        await changed(gateway.store, update(outbox).where(outbox.c.id == last).values(state="done"))
        await retained(gateway.store)
        assert await left(gateway.store) == {}


async def test_an_examination_in_progress_and_a_study_that_has_not_settled_stay(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(start="20260123090000"))
        modality = modality_of(gateway)
        assert (await modality.create(begin(item(UID, "ACC1", "RP1", "SPS1")), MPPS)).status == 0
        assert (await modality.create(begin(item("1.8", "", "", "")), "1.9.2")).status == 0
        await send(gateway, image("1.8", patient="PAT2", accession=""))
        await quiet(gateway)
        ended = await retained(gateway.store, Ages(dict.fromkeys(K, YEAR), open_orders_days=YEAR))
        assert stayed(ended, K.ORDERS) == {Stays.IN_PROGRESS: 1}
        assert stayed(ended, K.PERFORMED_STEPS) == {Stays.ORDER: 1, Stays.IN_PROGRESS: 1}
        assert stayed(ended, K.STUDIES) == {Stays.IN_PROGRESS: 1}
        for uid in (MPPS, "1.9.2"):
            assert (await modality.set(end(), uid)).status == 0
        await changed(gateway.store, update(studies).values(settled_revision=0))
        ended = await retained(gateway.store)
        assert stayed(ended, K.STUDIES) == {Stays.UNSETTLED: 1}
        assert (await left(gateway.store)).keys() >= {"studies", "instances"}


@sqlite
async def test_what_is_stated_of_a_study_that_never_came_goes_with_the_performed_step(start: Start) -> None:
    named = series("1.8.1")
    named.ReferencedImageSequence = [reference("1.8.1.1")]
    async with start() as gateway:
        modality = modality_of(gateway)
        assert (await modality.create(begin(item("1.8", "", "", "")), "1.9.2")).status == 0
        assert (await modality.set(end(PerformedSeriesSequence=[named]), "1.9.2")).status == 0
        assert (await left(gateway.store))["study_evidence"] == 1
        await retained(gateway.store)
        assert await left(gateway.store) == {}


@sqlite
async def test_what_is_stated_of_a_study_that_never_came_goes_with_the_order(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, orm(start="20260123090000"))
        stated = Evidence(EvidenceKind.EXPECTED_IMAGES, UID, now(), instances=3)
        await gateway.store.write(partial(settling.state, study_uid=StudyInstanceUID(UID), evidence=stated))
        await retained(gateway.store, Ages(dict.fromkeys(K, YEAR), open_orders_days=YEAR))
        assert await left(gateway.store) == {}


@sqlite
async def test_messages_without_an_order_go_unless_a_person_is_called(start: Start) -> None:
    async with start() as gateway:
        async with MllpClient("127.0.0.1", next(iter(gateway.hl7_ports.values()))) as ris:
            await ris.send(adt("A08"))
            await ris.send(orm(control_id="2", modality="XYZ1", placer="P9", filler="F9", accession="ACC9"))
        ended = await retained(gateway.store)
        assert stayed(ended, K.MESSAGES) == {Stays.PERSON: 1}
        assert ended.tallies[K.PATIENTS].deleted == {"patients": 1}
        assert (await left(gateway.store)).keys() == {"messages", "message_numbers"}


async def test_finished_work_goes_but_for_the_last_of_a_lane_that_is_kept(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await examined(gateway)
        await send(gateway, image(number=2))
        await quiet(gateway)
        ended = await retained(gateway.store, Ages({K.WORK: YEAR}))
        assert ended.tallies[K.WORK].deleted["outbox"] >= 2
        lanes = await gateway.store.read(lambda connection: connection.execute(select(outbox.c.lane)).scalars().all())
        assert sorted(lanes) == sorted(set(lanes)), "one row for each lane, by which what was sent last is known"
        assert stayed(ended, K.WORK) == {Stays.NEWEST: len(lanes)}


@sqlite
async def test_a_large_study_goes_in_several_units(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_rules, "MOST_INSTANCES", 2)
    async with start() as gateway:
        assert await send(gateway, *(image(number=number) for number in range(1, 8))) == [0] * 7
        await quiet(gateway)
        ended = await retained(gateway.store)
        assert ended.tallies[K.STUDIES].deleted == {"outbox": 1, "instances": 7, "series": 1, "studies": 1}
        assert await left(gateway.store) == {}


async def test_a_row_that_cannot_be_deleted_is_named_and_the_others_go(store: Store) -> None:
    def some(connection: Connection) -> None:
        values = "'A', '', 'P', '', 'F', '', '{}', 1, 1, 1"
        columns = (
            "authority, accession, placer, placer_authority, filler, filler_authority, attributes, event_at, "
            "created_at, updated_at"
        )
        for _ in range(5):
            connection.execute(text(f"INSERT INTO orders (sender, {columns}) VALUES ('', {values})"))
        connection.execute(text('CREATE TABLE films (id INTEGER, "order" BIGINT REFERENCES orders (id))'))
        connection.execute(text("INSERT INTO films VALUES (1, 3)"))

    await store.write(some)
    try:
        ended = await RetentionRun(store, ALL, now).run()
        tally = ended.tallies[K.ORDERS]
        assert (tally.deleted, tally.stayed) == ({"orders": 4}, {Stays.FAILED: 1})
        assert tally.failed == ["orders 3: IntegrityError"]
    finally:
        await store.write(lambda connection: connection.execute(text("DROP TABLE films")))


async def test_one_run_at_a_time(store: Store) -> None:
    first = RetentionRun(store, ALL, now)
    run = await store.write(partial(retention_runs.begin, holder="another", now=now(), bytes_before=None))
    with pytest.raises(Conflict, match="another process"):
        await first.run()
    later = now() + retention_runs.LEASE_MICROS + 1
    await RetentionRun(store, ALL, lambda: later).run()
    with pytest.raises(Conflict, match="taken over"):
        await store.write(partial(retention_runs.note, run=run, holder="another", now=later, kind="orders", tallies={}))


def numbered(prefix: str, start: str) -> list[bytes]:
    return [
        orm(control_id=number, placer=number, filler=f"F{number}", accession=f"A{number}", start=start,
            study_uid=f"1.7.{ord(prefix)}.{one}")
        for one in range(15)
        for number in [f"{prefix}{one}"]
    ]  # fmt: skip


async def test_the_order_book_grows_while_it_is_shortened(start: Start) -> None:
    async with start() as gateway:
        await ordered(gateway, *numbered("C", "20260123090000"))
        await changed(gateway.store, update(steps).values(state="COMPLETED"))
        moment = now() + DAY
        ages = Ages({K.ORDERS: 1, K.MESSAGES: 1})
        run = RetentionRun(gateway.store, ages, lambda: moment, pace=Pace(always_shared=True))
        running = asyncio.create_task(run.run())
        await ordered(gateway, *numbered("N", "20310123090000"))
        ended = await running
        assert ended.tallies[K.ORDERS].deleted["orders"] == 15
        kept = await gateway.store.read(lambda c: c.execute(select(orders.c.placer)).scalars().all())
        assert sorted(kept) == sorted(f"N{one}" for one in range(15))


@sqlite
async def test_an_old_message_does_not_bring_an_order_back(start: Start) -> None:
    """The very bytes whose order was deleted, and an old one about a day to come."""
    old = orm(start="20200123090000", at="20200123080000")
    async with start(retention=RetentionSection(orders_days=YEAR)) as gateway:
        await ordered(gateway, old)
        assert "orders" not in await left(gateway.store)
        later = orm(at="20200123080000", start="20990101090000", control_id="2")
        await ordered(gateway, later)
        assert (await left(gateway.store))["orders"] == 1


@sqlite
async def test_a_part_of_a_study_that_was_deleted_is_not_sent_for_the_whole(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image(), image(number=2))
        await quiet(gateway)
        await retained(gateway.store)
        assert await left(gateway.store) == {}
        await send(gateway, image())
        await quiet(gateway)
        columns = (outbox.c.state, outbox.c.outcome)
        [parked] = await gateway.store.read(lambda connection: connection.execute(select(*columns)).all())
        assert (parked.state, "1 of 2 instances have come again" in str(parked.outcome)) == ("parked", True)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["numberOfInstances"] == 2, "the EHR still has the whole"
        await send(gateway, image(number=2))
        await quiet(gateway)
        states = await gateway.store.read(lambda c: c.execute(select(outbox.c.state)).scalars().all())
        assert "parked" not in states
        assert "deleted_studies" not in await gateway.store.read(counts)
