"""Another gateway makes one order of two, by a merge of patients, while a message or a modality speaks of the one that
goes: its transaction has found the row, waits for it, and begins anew. What persons decided of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import Connection, select

from gateway.errors import UnknownKey
from gateway.journey.performed_step.station import PerformedSteps
from gateway.operations.order_meeting import StudyWish, link
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.order_check import Check, CheckPolicy, Conflict, FoundConflict, OrderStanding, Released, StudyLink
from gateway.records.row_ids import OrderRow, PatientRow, PerformedStepRow
from gateway.store import Store, order_book, order_conflicts, order_kin, patients, performed_steps, study_links
from gateway.store.schema import orders
from tests.store.test_foreseen import begun, ended, states, with_orders
from tests.store.test_foreseen_held import uncommitted
from tests.web.served import NINE, STUDY, add_instance, add_order


@pytest.fixture
async def joined(shared_postgres: str) -> AsyncIterator[tuple[Store, PerformedSteps, Store]]:
    store, station = await with_orders(shared_postgres, 2)
    other = await Store.open(shared_postgres)
    yield store, station, other
    for one in (store, other):
        await one.close()


def join(connection: Connection) -> None:
    """Let A1 be a part of A0."""
    kept, gone = connection.execute(select(orders.c.id).order_by(orders.c.accession)).scalars()
    order_kin.join(connection, kept, gone)


def found(connection: Connection, *, study_uid: str = "", accession_number: str = "") -> list[str]:
    wanted = order_book.Numbers(
        study_uid=StudyInstanceUID(study_uid), filler="", placer="", accession_number=AccessionNumber(accession_number),
        authority="HOSP",
    )  # fmt: skip
    return [order.accession_number for _, order in order_book.find(connection, wanted)]


@pytest.mark.parametrize(("numbers", "expected"), [({"accession_number": "A1"}, []), ({"study_uid": "1.2.1"}, ["A0"])])
async def test_a_message_finds_the_order_that_is_left(
    joined: tuple[Store, PerformedSteps, Store], numbers: dict[str, str], expected: list[str]
) -> None:
    store, _, other = joined
    async with uncommitted(other, join):
        finding = asyncio.create_task(store.write(lambda connection: found(connection, **numbers)))
    assert await finding == expected


async def test_the_end_of_a_performed_step_moves_the_order_that_is_left(
    joined: tuple[Store, PerformedSteps, Store],
) -> None:
    store, station, other = joined
    await station.create(begun(1))
    async with uncommitted(other, join):
        ending = asyncio.create_task(station.set(ended(1)))
    await ending
    assert sorted(await states(store)) == ["COMPLETED", "SCHEDULED"]


async def test_an_order_that_nobody_has_removed_is_a_fault(joined: tuple[Store, PerformedSteps, Store]) -> None:
    """The transaction begins anew a few times, not for ever."""
    store, _, _ = joined
    with pytest.raises(AssertionError):
        await store.write(lambda connection: order_book.get(connection, OrderRow(4711)))


async def test_a_merge_moves_the_orders_that_are_left(joined: tuple[Store, PerformedSteps, Store]) -> None:
    store, _, other = joined

    def moved(connection: Connection) -> list[OrderRow]:
        [old] = connection.execute(select(orders.c.patient).where(orders.c.accession == "A1")).scalars()
        [new] = connection.execute(select(orders.c.patient).where(orders.c.accession == "A0")).scalars()
        return patients.move_orders(connection, PatientRow(old), PatientRow(new))

    async with uncommitted(other, join):
        moving = asyncio.create_task(store.write(moved))
    assert await moving == []


async def test_a_performed_step_that_was_removed_is_held_by_nobody(store: Store) -> None:
    assert await store.write(lambda connection: performed_steps.hold_row(connection, PerformedStepRow(4711))) is None


async def test_a_study_is_linked_with_no_order_that_goes(joined: tuple[Store, PerformedSteps, Store]) -> None:
    store, _, other = joined
    await store.write(partial(add_instance, number=1, at=NINE))
    wish = StudyWish(StudyInstanceUID(STUDY), "anna", accession_number=AccessionNumber("A1"))
    async with uncommitted(other, join):
        linking = asyncio.create_task(store.write(partial(link, wish=wish, now=NINE)))
    with pytest.raises(UnknownKey, match="there is no such order"):
        await linking


LINKED, TAKEN_AWAY = True, False


DECIDED = (
    ([("A1", LINKED)], LINKED),
    ([("A1", TAKEN_AWAY)], TAKEN_AWAY),
    ([("A0", LINKED), ("A1", TAKEN_AWAY)], LINKED),
    ([("A1", LINKED), ("A0", TAKEN_AWAY)], LINKED),
    ([("A1", LINKED), ("A1", TAKEN_AWAY)], TAKEN_AWAY),
    ([("A0", TAKEN_AWAY), ("A1", TAKEN_AWAY)], TAKEN_AWAY),
)


async def test_what_a_person_decided_of_a_study_is_of_the_order_that_is_left(store: Store) -> None:
    """`DECIDED`: what was decided of each order, and what is true of the one that is left."""
    uids = [StudyInstanceUID(f"1.2.840.{number}") for number in range(len(DECIDED))]

    def decided(connection: Connection) -> list[list[StudyLink]]:
        rows = {
            one: add_order(connection, accession=one, patient_id=one, study_uid=f"1.2.{one[1]}")[0]
            for one in ("A0", "A1")
        }
        for uid, (words, _) in zip(uids, DECIDED, strict=True):
            for accession, is_linked in words:
                study_links.add(connection, uid, StudyLink(rows[accession], is_linked, "anna", "", NINE))
        join(connection)
        found = [study_links.of_study(connection, uid) for uid in uids]
        assert {one.order for of_study in found for one in of_study} == {rows["A0"]}
        return found

    found = await store.write(decided)
    assert [[one.is_linked for one in of_study] for of_study in found] == [[expected] for _, expected in DECIDED]


async def test_what_a_person_released_stays_released(store: Store) -> None:
    study = StudyInstanceUID("1.2.840")

    def released(connection: Connection) -> list[FoundConflict]:
        [kept, gone] = (
            add_order(connection, accession=one, patient_id=one, study_uid=f"1.2.{one[1]}")[0] for one in ("A0", "A1")
        )
        conflict = Conflict(Check.PATIENT_ID, gone, "4711", "4712")
        found = [FoundConflict(conflict, CheckPolicy.HOLD)]
        order_conflicts.note(connection, study, found, OrderStanding.HELD, now=NINE)
        order_conflicts.release(connection, study, Released("anna", "", NINE))
        order_kin.join(connection, kept, gone)
        found = order_conflicts.of_study(connection, study)
        assert [one.conflict.order for one in found] == [kept]
        return found

    [one] = await store.write(released)
    assert one.released is not None
    assert one.released.person == "anna"
