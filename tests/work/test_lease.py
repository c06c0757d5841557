"""A lease is checked against the row: whoever was away for longer than it sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.records.work import Work
from gateway.store import Store, outbox_claims
from gateway.store.outbox_claims import Done
from gateway.work.handling import Handling
from gateway.work.lease import Lease, LeaseLostError, Leases, LeaseUnknownError
from tests.conftest import Time, until
from tests.store.notes import kept, note
from tests.store.work import LEASE, SECOND, adding, claim_one, claiming, row, state
from tests.work.test_worker import add, reach, working


@pytest.fixture
async def work(store: Store, clock: Time) -> Work:
    await store.write(adding(due_at=clock.now, now=clock.now))
    return await claim_one(store, clock.now)


async def test_a_lease_that_holds_changes_nothing(store: Store, clock: Time, work: Work) -> None:
    before = await row(store, work.id)
    lease = Leases(store, clock).of(work, LEASE / SECOND)
    await lease.confirm()
    assert await row(store, work.id) == before
    assert not lease.was_late


async def test_a_lease_that_ended_and_that_nobody_took_is_renewed(store: Store, clock: Time, work: Work) -> None:
    clock.pass_seconds(61)
    lease = Leases(store, clock).of(work, LEASE / SECOND)
    await lease.confirm()
    assert lease.was_late
    assert (await row(store, work.id))["lease_until"] == clock.now + LEASE
    assert await store.write(claiming(clock.now)) == []


@pytest.mark.parametrize("stands_still", [False, True])
async def test_a_lease_that_another_took_is_lost(store: Store, clock: Time, work: Work, stands_still: bool) -> None:
    """Also by a clock that stood still meanwhile, and when the other has done the work, or handed it back."""
    another = clock.now + 61 * SECOND
    [taken] = await store.write(claiming(another))
    if not stands_still:
        clock.pass_seconds(61)
    for is_handed_back in (False, True):
        if is_handed_back:
            await store.write(partial(outbox_claims.release, works=[taken]))
        lease = Leases(store, clock).of(work, LEASE / SECOND)
        for _ in range(2):
            with pytest.raises(LeaseLostError):
                await lease.confirm()
        assert lease.is_lost
    [again] = await store.write(claiming(another))
    await store.write(partial(outbox_claims.succeed, work=again, now=another, outcome={}))
    with pytest.raises(LeaseLostError):
        await Leases(store, clock).of(work, LEASE / SECOND).confirm()
    assert await state(store, work.id) == "done"


async def test_checks_that_come_together_are_few_statements(store: Store, clock: Time) -> None:
    reads = 0
    read = store.read

    async def counted(unit: Callable[[Connection], Any]) -> Any:
        nonlocal reads
        reads += 1
        return await read(unit)

    def fill(connection: Connection) -> None:
        for number in range(50):
            adding(str(number), due_at=clock.now, now=clock.now)(connection)

    await store.write(fill)
    works = await store.write(claiming(clock.now, limit=50))
    await store.write(partial(outbox_claims.succeed, work=works[7], now=clock.now, outcome={}))
    store.read = counted  # type: ignore[method-assign]
    leases = Leases(store, clock)
    outcomes = await asyncio.gather(*(leases.of(one, 60).confirm() for one in works), return_exceptions=True)
    assert [number for number, one in enumerate(outcomes) if one is not None] == [7]
    assert isinstance(outcomes[7], LeaseLostError)
    assert reads <= 2


async def test_nothing_is_sent_while_the_database_does_not_tell(store: Store, clock: Time, work: Work) -> None:
    async def away(unit: object) -> None:
        raise Unavailable("the database is away")

    leases = Leases(store, clock)
    store.read, read = away, store.read  # type: ignore[method-assign, assignment]
    with pytest.raises(LeaseUnknownError):
        await leases.of(work, 60).confirm()
    store.read = read  # type: ignore[method-assign]
    await leases.of(work, 60).confirm()


def _lost(connection: Connection, work: Work) -> None:
    note(f"lost {work.id}")(connection)


async def _noted(store: Store, wanted: str) -> None:
    async with asyncio.timeout(120):
        while await kept(store) != [wanted]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("moment", ["before it sends", "after the answer", "after a failure"])
async def test_what_another_has_taken_is_left_to_it(store: Store, clock: Time, moment: str) -> None:
    """A node that was away for longer than its lease sends nothing, its outcome does not count, and what follows from
    a lost lease is written."""
    began, go, sent = asyncio.Event(), asyncio.Event(), list[int]()

    async def send(work: Work, lease: Lease) -> Done:
        began.set()
        if moment == "before it sends":
            await go.wait()
        await lease.confirm()
        sent.append(work.id)
        await go.wait()
        if moment == "after a failure":
            raise Unavailable("no answer")
        return Done({"answer": "old"})

    async with working(store, clock, test=Handling(send, concurrency=1, when_lost=_lost)):
        number = await add(store, clock.now)
        await until(lambda: sent if moment != "before it sends" else began.is_set())
        [taken] = await store.write(claiming(clock.now + 61 * SECOND))
        go.set()
        await _noted(store, f"lost {number}")
        found = await row(store, number)
        assert (found["state"], found["lease"], found["outcome"]) == ("leased", taken.lease, None)
    assert (number in sent) == (moment != "before it sends")


async def test_a_renewal_that_meets_another_s_claim_stops_the_work(store: Store, clock: Time) -> None:
    stopped = asyncio.Event()

    async def work_long(work: Work, lease: Lease) -> Done:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return Done()

    async with working(store, clock, test=Handling(work_long, concurrency=1, lease_seconds=0.3, when_lost=_lost)):
        number = await add(store, clock.now)
        async with asyncio.timeout(120):
            while (await row(store, number))["state"] != "leased":
                await asyncio.sleep(0.01)
        [taken] = await store.write(claiming(clock.now + 61 * SECOND))
        await until(stopped.is_set)
        await _noted(store, f"lost {number}")
        assert (await row(store, number))["lease"] == taken.lease


async def test_a_database_that_does_not_tell_is_no_receiver_that_is_silent(store: Store, clock: Time) -> None:
    """The work is tried again; what counts answers of its receiver sees no failure."""
    read, outcomes = store.read, list[str]()

    async def away(unit: object) -> None:
        raise Unavailable("the database is away")

    async def send(work: Work, lease: Lease) -> Done:
        if not outcomes:
            store.read = away  # type: ignore[method-assign, assignment]
        try:
            await lease.confirm()
        except Unavailable:
            outcomes.append("counted")
        except LeaseUnknownError:
            outcomes.append("not counted")
            raise
        finally:
            store.read = read  # type: ignore[method-assign]
        return Done()

    async with working(store, clock, test=Handling(send, first_retry_seconds=1)):
        number = await add(store, clock.now)
        await until(lambda: outcomes, what="the try, during which nobody can read")
        await reach(store, number, "pending", tries=1)
        clock.pass_seconds(1)
        await reach(store, number, "done", tries=2)
    assert outcomes == ["not counted"]
