"""Another gateway makes one order of two, by a merge of patients, while a message or a modality speaks of the one that
goes: its transaction has found the row, waits for it, and begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, select

from gateway.journey.performed_step.station import PerformedSteps
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import OrderRow
from gateway.store import Store, order_book, order_kin
from gateway.store.schema import orders
from tests.store.test_foreseen import begun, ended, states, with_orders
from tests.store.test_foreseen_held import uncommitted


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
