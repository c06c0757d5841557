"""Events share the fate of the unit that recorded them; the chain is whole whatever commits, fails or is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, func, select, update

from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, Outcome, canonical, event_of
from gateway.store import Store, audit
from gateway.store.audit import START, hash_of
from gateway.store.audit_log import seal_all
from gateway.store.schema import audit as rows
from gateway.store.schema import audit_patients
from tests.conftest import until
from tests.store.audit_events import events_of
from tests.store.test_writer import Commits

RIS = Actor("RIS|HOSP", ActorKind.RIS, "192.0.2.1")


def happened(number: int, *patients: str) -> AuditEvent:
    return AuditEvent(
        AuditKind.ORDER_RECORD, Action.CREATE, number, RIS, patients=patients, studies=(f"1.2.{number}",),
        accession_numbers=(f"A{number}",),
    )  # fmt: skip


def recorded(*events: AuditEvent, fail: bool = False) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        for event in events:
            audit.record(connection, event)
        if fail:
            raise ValueError("taken back")

    return unit


def _moments(connection: Connection) -> list[int]:
    return [
        event_of(text).moment for text in connection.execute(select(rows.c.event).order_by(rows.c.sequence)).scalars()
    ]


def _recorded(connection: Connection) -> list[int]:
    return [event.moment for event in events_of(connection)]


async def test_a_unit_that_is_taken_back_or_run_again_takes_its_events_back(store: Store) -> None:
    commits = Commits(store)
    with commits.held():
        first = asyncio.create_task(store.write(recorded(happened(1))))
        await until(commits.reached.is_set, what="the commit")
        # All are run once without savepoints, then again, each in its own.
        others = asyncio.gather(
            *(store.write(recorded(happened(number), fail=number == 3)) for number in (2, 3, 4)),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
    await first
    assert [type(one) for one in await others] == [type(None), ValueError, type(None)]
    assert await store.read(_recorded) == [1, 2, 4]


async def test_a_savepoint_that_is_rolled_back_takes_its_events_back(store: Store) -> None:
    def unit(connection: Connection) -> None:
        audit.record(connection, happened(1))
        with connection.begin_nested() as savepoint:
            audit.record(connection, happened(2))
            savepoint.rollback()
        with connection.begin_nested():
            audit.record(connection, happened(3))

    await store.write(unit)
    assert await store.read(_recorded) == [1, 3]


async def test_beside_the_writer_an_event_is_written_at_once(store: Store) -> None:
    await store.write(recorded(happened(1)))

    def beside() -> None:
        with store.engine.begin() as connection:
            audit.record(connection, happened(2))

    await asyncio.to_thread(beside)
    assert await store.read(_recorded) == [1, 2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_waits_is_chained_in_batches(store: Store) -> None:
    await store.write(recorded(happened(1), happened(2)))
    await store.write(recorded(happened(3)))
    assert await store.read(audit.number_waiting) == 3
    assert await store.write(partial(audit.seal, limit=1)) == 2, "a commit is chained whole"
    assert await store.read(audit.number_waiting) == 1
    assert await store.write(audit.seal) == 1
    assert await store.write(audit.seal) == 0
    assert await store.read(_moments) == [1, 2, 3]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_on_sqlite_events_are_chained_with_the_commit(store: Store) -> None:
    await store.write(recorded(happened(1), happened(2)))
    assert await store.read(audit.number_waiting) == 0
    assert await store.read(_moments) == [1, 2]


async def test_events_are_chained_with_their_patients(store: Store) -> None:
    await store.write(recorded(happened(1, "P1"), happened(2, "P1", "P2", "P1")))
    await store.write(recorded(happened(3)))
    await seal_all(store)
    assert await store.read(_moments) == [1, 2, 3]
    link = START
    for number, event in enumerate((happened(1, "P1"), happened(2, "P1", "P2", "P1"), happened(3)), 1):
        link = hash_of(link, number, canonical(event))
    end = await store.read(audit.head)
    assert (end.sequence, end.hash) == (3, link)
    named = select(audit_patients).order_by(audit_patients.c.patient_id, audit_patients.c.sequence)
    assert [tuple(row) for row in await store.read(lambda connection: connection.execute(named).all())] == [
        ("P1", 1), ("P1", 2), ("P2", 2),
    ]  # fmt: skip


async def test_what_no_database_keeps_is_chained_all_the_same(store: Store) -> None:
    odd = AuditEvent(
        AuditKind.QUERY, Action.EXECUTE, 1, Actor("A\0E\udc80", ActorKind.SCANNER, "192.0.2.1"),
        patients=("P" * 5000, "NUL\0"), outcome=Outcome.MINOR_FAILURE,
    )  # fmt: skip
    await store.write(recorded(odd))
    await seal_all(store)
    [text] = await store.read(lambda connection: connection.execute(select(rows.c.event)).scalars().all())
    assert event_of(text).actor.name == "A\0E?"
    assert event_of(text).outcome is Outcome.MINOR_FAILURE


async def test_old_rows_are_removed_and_the_rest_builds_on_the_anchor(store: Store) -> None:
    await store.write(recorded(*(happened(number, "P") for number in (1, 2, 3, 9, 4))))
    await seal_all(store)
    forget = partial(audit.forget_before, moment=5, now=20)
    assert await store.write(partial(forget, limit=2)) == 2
    assert await store.write(forget) == 1
    assert await store.write(forget) == 0, "a row that is not old ends what is removed"
    anchor = await store.read(audit.beginning)
    assert anchor.sequence == 3
    assert await store.read(lambda connection: connection.execute(select(func.min(rows.c.sequence))).scalar()) == 4
    await seal_all(store)
    assert await store.read(_moments) == [9, 4, 20, 20]
    assert await store.read(lambda connection: len(connection.execute(select(audit_patients)).all())) == 2


@pytest.mark.parametrize("event", ["", "[]", '{"kind": "query"}'])
async def test_a_row_that_somebody_has_altered_goes_by_its_age_too(store: Store, event: str) -> None:
    await store.write(recorded(*(happened(number, "P") for number in (1, 2, 3))))
    await seal_all(store)
    altered = update(rows).where(rows.c.sequence == 2).values(event=event)
    await store.write(lambda connection: connection.execute(altered).rowcount)
    assert await store.write(partial(audit.forget_before, moment=9, now=20)) == 3


async def test_one_process_chains_at_a_time(shared_postgres: str) -> None:
    first, second = await Store.open(shared_postgres), await Store.open(shared_postgres)
    commits = Commits(first)
    try:
        await first.write(recorded(happened(1)))
        with commits.held():
            sealing = asyncio.create_task(first.write(audit.seal))
            await until(commits.reached.is_set, what="the commit")
            await second.write(recorded(happened(2)))
            assert await second.write(audit.seal) == 0
        assert await sealing == 1
        assert await second.write(audit.seal) == 1
        assert await second.read(_moments) == [1, 2]
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("event", [happened(1), happened(2, "P")])
def test_an_event_is_read_as_it_was_written(event: AuditEvent) -> None:
    assert event_of(canonical(event)) == event
