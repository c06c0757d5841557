"""Steady time: it outlives a gateway, and gateways on one database share it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import func, select

from gateway.store import Store, outbox_listing
from gateway.store.schema import heartbeats as table
from tests.conftest import Time
from tests.store.work import SECOND, adding, claiming, row

HOUR = 3600 * SECOND
COUNT = select(func.count()).select_from(table)


class Clocks:
    """The clocks of one machine; they go on together, and only the wall clock is set."""

    def __init__(self, wall: int) -> None:
        self.wall, self.elapsed = Time(), Time()
        self.wall.now, self.elapsed.now = wall, 5 * SECOND

    def pass_seconds(self, seconds: float) -> None:
        self.wall.pass_seconds(seconds)
        self.elapsed.pass_seconds(seconds)

    def set(self, ahead: int) -> None:
        self.wall.now += ahead


NOW = Time().now


@asynccontextmanager
async def gateway(url: str, clocks: Clocks) -> AsyncIterator[Store]:
    store = await Store.open(url)
    try:
        await store.begin_steady_time(clocks.wall, clocks.elapsed)
        assert await store.pulse.ask() == ""
        yield store
    finally:
        await store.close()


async def add(store: Store, clocks: Clocks, lane: str = "a", *, seconds: float = 0) -> int:
    now = clocks.wall()
    return await store.write(adding(lane, due_at=now + round(seconds * SECOND), now=now))


async def claimed(store: Store) -> list[int]:
    return [work.id for work in await store.write(claiming(store.steady()))]


@pytest.mark.parametrize("ahead", [-HOUR, 24 * HOUR])
async def test_work_waits_as_long_as_it_should_whatever_happens_to_the_clock(database_url: str, ahead: int) -> None:
    clocks = Clocks(NOW)
    async with gateway(database_url, clocks) as store:
        work = await add(store, clocks, seconds=600)
        clocks.pass_seconds(599)
        clocks.set(ahead)
        assert await claimed(store) == []
        clocks.pass_seconds(1)
        assert await claimed(store) == [work]


async def test_a_lease_lasts_as_long_as_it_should(database_url: str) -> None:
    clocks = Clocks(NOW)
    async with gateway(database_url, clocks) as store:
        work = await add(store, clocks)
        assert await claimed(store) == [work]
        clocks.set(24 * HOUR)
        clocks.pass_seconds(59)
        assert await claimed(store) == []
        clocks.set(-25 * HOUR)
        clocks.pass_seconds(1)
        assert await claimed(store) == [work]


async def test_people_see_the_times_of_the_wall_clock(database_url: str) -> None:
    clocks = Clocks(NOW)
    async with gateway(database_url, clocks) as store:
        await add(store, clocks, seconds=600)
        clocks.set(-HOUR)
        [shown] = await store.read(lambda connection: outbox_listing.listing(connection))
        assert abs(shown["due_at"] - (NOW - HOUR + 600 * SECOND)) < SECOND


async def test_a_clock_that_went_back_while_the_gateway_was_down_delays_nothing(sqlite_url: str) -> None:
    clocks = Clocks(NOW)
    async with gateway(sqlite_url, clocks) as store:
        work = await add(store, clocks)
        waiting = await add(store, clocks, "b", seconds=60)
    clocks.set(-30 * 365 * 24 * HOUR)  # a machine that starts without a battery, before it asks for the time
    async with gateway(sqlite_url, clocks) as store:
        assert await claimed(store) == [work]
        clocks.pass_seconds(60)
        clocks.set(30 * 365 * 24 * HOUR)
        assert waiting in await claimed(store)


async def test_a_command_adds_work_that_is_due_in_the_time_of_the_gateway(sqlite_url: str) -> None:
    """The gateway started before its machine had the time: its steady time is behind by a year."""
    clocks = Clocks(NOW - 365 * 24 * HOUR)
    async with gateway(sqlite_url, clocks) as store:
        clocks.set(365 * 24 * HOUR)
        clocks.pass_seconds(6)
        await store.beat()
        command = await Store.open(sqlite_url)
        work = await command.write(adding(due_at=NOW, now=NOW))
        await command.close()
        assert (await row(store, work))["due_at"] < NOW - 300 * 24 * HOUR
        clocks.pass_seconds(60)
        assert await claimed(store) == [work]


async def test_nodes_whose_clocks_differ_by_an_hour_share_their_steady_time(shared_postgres: str) -> None:
    right, fast = Clocks(NOW), Clocks(NOW + HOUR)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(gateway(shared_postgres, right))
        two = await stack.enter_async_context(gateway(shared_postgres, fast))
        assert abs(one.steady() - two.steady()) < 5 * SECOND
        work = [await add(one, right, "a", seconds=60), await add(two, fast, "b", seconds=60)]
        assert (await claimed(one), await claimed(two)) == ([], [])
        for clocks in (right, fast):
            clocks.pass_seconds(66)
        assert await claimed(one) == work
        # The lease of one holds the rows for the other, and no longer than it should.
        assert await claimed(two) == []
        fast.pass_seconds(66)
        assert await claimed(two) == work


async def test_a_node_that_was_paused_takes_over_the_time_of_the_others(shared_postgres: str) -> None:
    here, paused = Clocks(NOW), Clocks(NOW)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(gateway(shared_postgres, here))
        two = await stack.enter_async_context(gateway(shared_postgres, paused))
        here.pass_seconds(600)
        await one.beat()
        assert one.steady() - two.steady() > 590 * SECOND
        await two.beat()
        assert abs(one.steady() - two.steady()) < 5 * SECOND


async def test_rows_of_gateways_that_ended_are_deleted(sqlite_url: str) -> None:
    clocks = Clocks(NOW)
    for _ in range(3):
        async with gateway(sqlite_url, clocks) as store:
            rows = await store.read(
                lambda connection: connection.execute(select(func.count()).select_from(table)).scalar()
            )
        clocks.pass_seconds(25 * 3600)
    assert rows == 1
