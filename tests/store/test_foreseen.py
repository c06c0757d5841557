"""Instances and performed steps that are kept together become what each would have become alone, in few statements."""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import replace
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from gateway.errors import DuplicateKey, UnknownKey
from gateway.journey.performed_step.request import Request
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.study_arrival.asking import asked_by
from gateway.records.agreement import AgreementRules
from gateway.records.arrival import InstanceArrival, Kept
from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.store import Store, settling, study_arrivals
from gateway.store import worklist as worklist_rows
from gateway.store.schema import instance_findings, instances, outbox, performed_step_links, series, studies
from gateway.store.settling import Wait
from tests.one_transaction import at_once
from tests.store.round_trips import counted, writing
from tests.store.test_read_ahead import together
from tests.store.test_study_arrivals import FIRST
from tests.web.served import NINE, add_order

AT_ONCE = 8


def arrival(of_study: int, of_series: int, number: int, **values: Any) -> InstanceArrival:
    uids = f"1.2.{of_study}", f"1.2.{of_study}.{of_series}", f"1.2.{of_study}.{of_series}.{number}"
    made = replace(
        FIRST, study_uid=StudyInstanceUID(uids[0]), series_uid=SeriesInstanceUID(uids[1]),
        sop_uid=SOPInstanceUID(uids[2]), digest=repr((uids, values)).encode(),
    )  # fmt: skip
    return replace(made, **values)


def keep(connection: Connection, one: InstanceArrival) -> Kept:
    kept = study_arrivals.keep(connection, one, AgreementRules())
    if kept.is_new:
        wait = Wait(10_000_000, 60_000_000)
        settling.arrived(connection, one.study_uid, wait, now=one.received_at, is_stated=kept.is_stated)
    return kept


async def kept_at_once(store: Store, *arrivals: InstanceArrival) -> list[Any]:
    return await together(store, *((partial(keep, one=one), asked_by(one)) for one in arrivals))


def some_arrivals(number: int) -> list[InstanceArrival]:
    """Of few studies, with other values now and then, and some that come again."""
    choose = random.Random(7)
    made: list[InstanceArrival] = []
    for moment in range(number):
        if made and choose.random() < 0.2:
            made.append(replace(choose.choice(made), received_at=moment))
            continue
        more: dict[str, Any] = {}
        if choose.random() < 0.2:
            more["study"] = {**FIRST.study, "PatientName": choose.choice(["A", "B"])}
        if choose.random() < 0.2:
            more["series"] = {**FIRST.series, "BodyPartExamined": choose.choice(["HEAD", "NECK"])}
        if choose.random() < 0.1:
            more["findings"] = (Finding("(0008,0050)", "cannot be read"),)
        made.append(arrival(*(choose.randrange(limit) for limit in (2, 2, 12)), received_at=moment, **more))
    return made


def all_rows(connection: Connection) -> dict[str, Any]:
    """What is known of studies, without the keys of rows, and the work that waits."""
    wanted = {
        "studies": select(
            studies.c.study_uid, studies.c.attributes, studies.c.sources, studies.c.revision,
            studies.c.grown_revision, studies.c.first_at, studies.c.last_at, studies.c.rejected, studies.c.name_key,
        ).order_by(studies.c.study_uid),
        "series": select(series.c.series_uid, series.c.attributes, series.c.sources).order_by(series.c.series_uid),
        "instances": select(
            instances.c.sop_uid, instances.c.attributes, instances.c.digest, instances.c.received_at,
            series.c.series_uid, instance_findings.c.findings,
        )
        .join(series, series.c.id == instances.c.series)
        .outerjoin(instance_findings, instance_findings.c.instance == instances.c.id)
        .order_by(instances.c.sop_uid),
        "work": select(
            outbox.c.lane, outbox.c.state, outbox.c.due_at, outbox.c.payload, outbox.c.waits_since
        ).order_by(outbox.c.lane),
    }  # fmt: skip
    return {name: [tuple(row) for row in connection.execute(one)] for name, one in wanted.items()}


async def test_instances_together_become_what_they_become_alone(
    database_url: str, sqlite_template: Path, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "alone.db")
    alone, store = await Store.open(f"sqlite:///{tmp_path}/alone.db"), await Store.open(database_url)
    arrivals = some_arrivals(90)
    expected = [(await alone.write(partial(keep, one=one))).is_new for one in arrivals]
    found: list[bool] = []
    for first in range(0, len(arrivals), 9):
        found += [one.is_new for one in await kept_at_once(store, *arrivals[first : first + 9])]
    assert found == expected
    assert 0 < sum(found) < len(found)
    assert await store.read(all_rows) == await alone.read(all_rows)
    for one in (alone, store):
        await one.close()


async def test_an_instance_that_no_database_can_hold_fails_alone(database_url: str) -> None:
    store = await Store.open(database_url)
    await kept_at_once(store, arrival(1, 1, 0))
    first, odd, last = await kept_at_once(
        store, arrival(1, 1, 1), arrival(1, 1, 2, sop_class_uid="\ud800"), arrival(1, 1, 3)
    )
    assert (first.is_new, last.is_new) == (True, True)
    assert isinstance(odd, (TypeError, ValueError))
    revision = select(studies.c.revision, func.count(instances.c.id)).select_from(studies.join(series).join(instances))
    rows = await store.read(lambda connection: connection.execute(revision.group_by(studies.c.id)).all())
    assert [tuple(row) for row in rows] == [(3, 3)]
    await store.close()


async def test_two_gateways_keep_each_instance_once(shared_postgres: str) -> None:
    stores = [await Store.open(shared_postgres) for _ in range(2)]
    arrivals = [arrival(study, 1, instance) for study in range(2) for instance in range(10)]
    answers = await asyncio.gather(
        *(kept_at_once(store, *some) for store, some in zip(stores, (arrivals, arrivals[::-1]), strict=True))
    )
    new = [(one.is_new, other.is_new) for one, other in zip(answers[0], answers[1][::-1], strict=True)]
    assert all(sum(pair) == 1 for pair in new), new
    revisions = select(studies.c.revision)
    assert await stores[0].read(lambda connection: list(connection.execute(revisions).scalars())) == [10, 10]
    for store in stores:
        await store.close()


async def test_instances_are_read_whatever_the_server_writes_bytes_like(shared_postgres: str) -> None:
    store = await Store.open(f"{shared_postgres}&options=-c%20bytea_output%3Descape")
    both = arrival(1, 1, 1), arrival(1, 1, 2)
    assert [one.is_new for one in [*await kept_at_once(store, *both), *await kept_at_once(store, *both)]] == [
        True, True, False, False,
    ]  # fmt: skip
    await store.close()


@pytest.mark.parametrize("number", [1, AT_ONCE])
async def test_instances_take_three_round_trips_however_many(shared_postgres: str, tmp_path: Path, number: int) -> None:
    """To begin, hold the keys and read, to write, and to commit: five statements."""
    store = await Store.open(shared_postgres)
    await kept_at_once(store, arrival(1, 1, 0))
    with counted(await writing(store), tmp_path / "protocol") as sent:
        await kept_at_once(store, *(arrival(1, 1, instance) for instance in range(1, number + 1)))
    await store.close()
    assert sent.waits == ["Sync", "Sync", "Query"]


async def test_instances_of_one_study_share_what_is_read_and_written(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url)
    await kept_at_once(store, arrival(1, 1, 0))
    sent: list[str] = []
    (await writing(store)).set_trace_callback(sent.append)
    await kept_at_once(store, *(arrival(1, 1, instance) for instance in range(1, AT_ONCE + 1)))
    (await writing(store)).set_trace_callback(None)
    await store.close()
    assert len([sql for sql in sent if sql.startswith(("INSERT", "UPDATE"))]) == 3, sent
    assert len([sql for sql in sent if sql.startswith("SELECT")]) == AT_ONCE + 2, sent


# Performed steps


def request(number: int, **stated: Any) -> Request:
    return Request("CT1", "127.0.0.1", f"2.25.{number}", stated)


def begun(number: int, **more: Any) -> Request:
    item = {"StudyInstanceUID": f"1.2.{number}", "ScheduledProcedureStepID": "SPS1", "AccessionNumber": f"A{number}"}
    start = {"PerformedProcedureStepStartDate": "20260105", "PerformedProcedureStepStartTime": "1030"}
    state = {"PerformedProcedureStepStatus": "IN PROGRESS"}
    return request(number, **state, **start, ScheduledStepAttributesSequence=[item], **more)


def ended(number: int) -> Request:
    image = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": f"1.2.{number}.1"}
    named = {"SeriesInstanceUID": f"1.2.{number}.9", "ReferencedImageSequence": [image]}
    end = {"PerformedProcedureStepEndDate": "20260105", "PerformedProcedureStepEndTime": "1040"}
    return request(number, PerformedProcedureStepStatus="COMPLETED", **end, PerformedSeriesSequence=[named])


async def with_orders(url: str, number: int) -> tuple[Store, PerformedSteps]:
    store = await Store.open(url)

    def add(connection: Connection) -> None:
        for one in range(number):
            add_order(connection, accession=f"A{one}", patient_id=f"P{one}", study_uid=f"1.2.{one}")

    await store.write(add)
    # Later than the orders, so that an event is the newest of its order; `history` is not asked for then.
    return store, PerformedSteps(store, lambda _connection, _order: pytest.fail("history"), lambda: NINE * 2, zone=UTC)


async def states(store: Store) -> list[str]:
    found = await store.read(lambda connection: list(connection.execute(worklist_rows.ITEMS).mappings()))
    return [row["state"] for row in sorted(found, key=lambda row: len(row["step_id"]))]


async def test_performed_steps_together_move_each_its_own_order(database_url: str) -> None:
    store, station = await with_orders(database_url, 3)
    assert await at_once(store, *(station.create(begun(number)) for number in range(3))) == [True] * 3
    assert await states(store) == ["STARTED"] * 3
    # The end of a performed step and the beginning of another, of which an order is not known.
    await at_once(store, station.set(ended(0)), station.create(begun(7)), station.set(ended(2)))
    assert sorted(await states(store)) == ["COMPLETED", "COMPLETED", "STARTED"]
    links = select(performed_step_links.c.study_uid).order_by(performed_step_links.c.study_uid)
    found = await store.read(lambda connection: list(connection.execute(links).scalars()))
    assert found == ["1.2.0", "1.2.1", "1.2.2"]
    await store.close()


async def test_begin_and_end_of_one_performed_step_together(database_url: str) -> None:
    store, station = await with_orders(database_url, 1)
    assert await at_once(store, station.create(begun(0)), station.set(ended(0))) == [True, None]
    assert await states(store) == ["COMPLETED"]
    await store.close()


async def test_a_performed_step_that_is_refused_leaves_the_others(database_url: str) -> None:
    store, station = await with_orders(database_url, 2)
    answers = await at_once(
        store, station.create(begun(0)), station.create(begun(0, StudyID="7")), station.create(begun(0)),
        station.set(ended(9)), station.create(begun(1)),
    )  # fmt: skip
    assert [type(one) for one in answers] == [bool, DuplicateKey, bool, UnknownKey, bool]
    assert [answers[0], answers[2], answers[4]] == [True, False, True]
    assert await states(store) == ["STARTED", "STARTED"]
    await store.close()


@pytest.mark.parametrize("number", [1, AT_ONCE])
async def test_performed_steps_take_four_round_trips_however_many(
    shared_postgres: str, tmp_path: Path, number: int
) -> None:
    """To begin and read what the requests name, to read their orders, to write, and to commit."""
    store, station = await with_orders(shared_postgres, 2 * number)
    create, end = station.create, station.set
    mixed = [work for one in range(number) for work in ((end, ended(one)), (create, begun(number + one)))]
    for name, requests in (
        ("begin", [(create, begun(one)) for one in range(number)]),
        ("end and begin, in turns", mixed),
        ("end", [(end, ended(number + one)) for one in range(number)]),
    ):
        with counted(await writing(store), tmp_path / name) as sent:
            await at_once(store, *(do(one) for do, one in requests))
        assert sent.waits == ["Sync", "Sync", "Sync", "Query"], (name, sent.lines)
    await store.close()
