"""Work that ends together is closed by one transaction, and none of it pays for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection

from gateway.records.work import Work
from gateway.store import Store
from gateway.store.outbox_claims import Done, Together
from gateway.work import outcomes as work_outcomes
from gateway.work.lanes import Lanes
from gateway.work.outcomes import WorkOutcomes
from tests.conftest import Time, until
from tests.store.notes import kept, note
from tests.store.work import adding, claiming, row, state


@pytest.fixture
async def works(store: Store, clock: Time) -> list[Work]:
    for number in range(6):
        await store.write(adding(str(number), due_at=clock.now, now=clock.now))
    return await store.write(claiming(clock.now))


def _keeping(reason: str) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        note(reason)(connection)

    return unit


class Written:
    """What was written for each set of work that was closed together."""

    def __init__(self) -> None:
        self.sets: list[list[int]] = []

    def write(self, connection: Connection, values: Sequence[int]) -> None:
        self.sets.append(list(values))


async def test_what_ends_while_a_commit_is_under_way_is_closed_by_the_next(
    store: Store, clock: Time, works: list[Work]
) -> None:
    outcomes, written = WorkOutcomes(store, clock), Written()
    first = asyncio.create_task(
        outcomes.close(works[0], Done({"number": 0}, together=Together(written.write, 0)), Lanes())
    )
    while outcomes._closing is None or outcomes._ended:
        await asyncio.sleep(0)
    others = (
        outcomes.close(work, Done({"number": number}, together=Together(written.write, number)), Lanes())
        for number, work in enumerate(works[1:], start=1)
    )
    assert await asyncio.gather(first, *others) == [True] * 6
    assert written.sets == [[0], [1, 2, 3, 4, 5]]
    assert [(await row(store, work.id))["outcome"] for work in works] == [{"number": number} for number in range(6)]


async def test_what_ends_right_after_another_is_closed_with_it(
    store: Store, clock: Time, works: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_outcomes, "GATHER_SECONDS", 600)
    outcomes, written, lanes, ends = WorkOutcomes(store, clock), Written(), Lanes(), asyncio.Event()

    async def do(work: Work) -> None:
        if work is not works[0]:
            await ends.wait()
        assert await outcomes.close(work, Done({}, together=Together(written.write, work.id)), lanes)

    tasks = [asyncio.create_task(do(work)) for work in works]
    for task, work in zip(tasks, works, strict=True):
        lanes.begin(task, work)
    await until(lambda: outcomes._closing is not None)
    assert lanes.taken == len(works)
    ends.set()
    await asyncio.gather(*tasks)
    assert written.sets == [[work.id for work in works]]
    assert lanes.taken == 0


async def test_what_is_long_on_its_way_is_not_waited_for(store: Store, clock: Time, works: list[Work]) -> None:
    lanes, others = Lanes(), asyncio.create_task(asyncio.sleep(3600))
    lanes.begin(others, works[1])
    assert await WorkOutcomes(store, clock).close(works[0], Done({}), lanes)
    assert await state(store, works[0].id) == "done"
    others.cancel()


async def test_a_lost_lease_costs_nobody_else_anything(store: Store, clock: Time, works: list[Work]) -> None:
    clock.pass_seconds(61)
    [taken] = await store.write(claiming(clock.now, limit=1))
    outcomes = WorkOutcomes(store, clock)
    closed = await asyncio.gather(*(outcomes.close(work, Done({}, _keeping(f"{work.id}")), Lanes()) for work in works))
    assert [work.id for work, is_closed in zip(works, closed, strict=True) if not is_closed] == [taken.id]
    assert await state(store, taken.id) == "leased"
    assert await kept(store) == sorted(str(work.id) for work in works if work.id != taken.id)


async def test_what_cannot_be_written_costs_nobody_else_anything(store: Store, clock: Time, works: list[Work]) -> None:
    def fails(connection: Connection) -> None:
        note("half")(connection)
        raise ValueError("cannot be written")

    outcomes = WorkOutcomes(store, clock)
    closed = await asyncio.gather(
        *(outcomes.close(work, Done({}, fails if work is works[2] else None), Lanes()) for work in works),
        return_exceptions=True,
    )
    assert [one for one in closed if one is not True] == [closed[2]]
    assert isinstance(closed[2], ValueError)
    assert [await state(store, work.id) for work in works] == ["done", "done", "leased", "done", "done", "done"]
    assert await kept(store) == []


async def test_who_stops_waiting_takes_nothing_back(store: Store, clock: Time, works: list[Work]) -> None:
    outcomes = WorkOutcomes(store, clock)
    closing = [asyncio.create_task(outcomes.close(work, Done({}), Lanes())) for work in works]
    await asyncio.sleep(0)
    for task in closing:
        task.cancel()
    await asyncio.wait(closing)
    await outcomes.settled()
    assert {await state(store, work.id) for work in works} == {"done"}
