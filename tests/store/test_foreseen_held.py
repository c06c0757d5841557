"""What is read beforehand of rows that another gateway holds is what that gateway leaves, not what was there before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, text

from gateway.journey.order_telling.procedures import _look
from gateway.journey.performed_step.linking import ALARMING
from gateway.records.performed_matching import MatchedBy
from gateway.records.step import StepState
from gateway.store import Store, order_book, performed_steps, step_candidates
from tests.conftest import comes_true
from tests.one_transaction import BUSY_SECONDS
from tests.store.test_foreseen import begun, ended, states, with_orders
from tests.web.served import NINE, add_order

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")


@asynccontextmanager
async def uncommitted(store: Store, unit: Callable[[Connection], object]) -> AsyncIterator[None]:
    """What `unit` does is committed once somebody waits for it."""
    done, goes_on = threading.Event(), threading.Event()

    def held(connection: Connection) -> None:
        unit(connection)
        done.set()
        goes_on.wait(BUSY_SECONDS)

    writing = asyncio.create_task(store.write(held))
    await asyncio.to_thread(done.wait, BUSY_SECONDS)
    try:
        yield
        await comes_true(lambda: store.read(lambda connection: connection.execute(WAITING).scalar()))
    finally:
        goes_on.set()
        await writing


async def test_the_end_of_a_performed_step_moves_the_order_that_another_gateway_just_linked(
    shared_postgres: str,
) -> None:
    store, station = await with_orders(shared_postgres, 0)
    other = await Store.open(shared_postgres)
    await station.create(begun(0))

    def order_comes(connection: Connection) -> None:
        add_order(connection, accession="A0", study_uid="1.2.0", state="STARTED")
        [row] = connection.execute(text("SELECT id FROM performed_steps")).scalars()
        performed_steps.hold_row(connection, row)
        [step] = step_candidates.of_study(connection, "1.2.0")
        performed_steps.link(connection, row, step, MatchedBy.STUDY)

    async with uncommitted(other, order_comes):
        ending = asyncio.create_task(station.set(ended(0)))
    await ending
    assert await states(store) == ["COMPLETED"]
    for one in (store, other):
        await one.close()


async def test_a_performed_step_that_begins_sees_what_another_gateway_just_did_to_the_steps(
    shared_postgres: str,
) -> None:
    """The other names the order by a number that no performed step states."""
    store, station = await with_orders(shared_postgres, 1)
    other = await Store.open(shared_postgres)

    def cancel(connection: Connection) -> None:
        [step] = step_candidates.of_study(connection, "1.2.0")
        before = order_book.get(connection, step.order)
        [procedure] = before.procedures
        steps = tuple(replace(one, state=StepState.CANCELED) for one in procedure.steps)
        after = replace(before, procedures=(replace(procedure, steps=steps),))
        order_book.save(connection, before, after, now=NINE)

    async with uncommitted(other, cancel):
        beginning = asyncio.create_task(station.create(begun(0)))
    await beginning
    row = await store.read(partial(performed_steps.find, sop_uid="2.25.0"))
    assert row is not None
    assert ALARMING[StepState.CANCELED] in str(performed_steps.step_of(row).findings)
    for one in (store, other):
        await one.close()


async def test_what_tells_the_ehrs_of_a_performed_step_holds_no_order(shared_postgres: str) -> None:
    """A reader may hold nothing."""
    store, station = await with_orders(shared_postgres, 1)
    await station.create(begun(0))
    found = await store.read(partial(_look, sop_uid="2.25.0"))
    assert found is not None
    assert [order.accession_number for order in found.orders] == ["A0"]
    await store.close()
