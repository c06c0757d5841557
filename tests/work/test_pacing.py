"""Work that waits for its hour or its turn is not claimed: no try of it is counted."""

from __future__ import annotations

from datetime import UTC, time, timedelta

from gateway.records.windows import Windows
from gateway.store import Store
from gateway.work.handling import Handling
from gateway.work.pacing import Pacing
from tests.conftest import Time, until
from tests.store.work import row
from tests.work.test_worker import Station, add, reach, working

HOUR = 3600.0


def windows(clock: Time, begin_in: timedelta, length: timedelta) -> Windows:
    """A window that opens so long after the clock's present time."""
    moment = timedelta(microseconds=clock.now % (24 * 3600 * 1_000_000))
    ends = [(moment + one) % timedelta(days=1) for one in (begin_in, begin_in + length)]
    begin, end = (time(one.seconds // 3600, one.seconds // 60 % 60, one.seconds % 60) for one in ends)
    return Windows(((begin, end),), UTC)


def test_nothing_is_admitted_until_the_window_opens(clock: Time) -> None:
    hours = windows(clock, timedelta(hours=1), timedelta(hours=1))
    pacing = Pacing(clock, clock, windows=hours, per_minute=None)
    assert pacing.admits(8, 0) == 0
    assert HOUR - 1 <= pacing.opens_in() <= HOUR
    clock.pass_seconds(HOUR)
    assert (pacing.admits(8, 0), pacing.opens_in()) == (8, 0.0)
    clock.pass_seconds(HOUR)
    assert pacing.admits(8, 0) == 0


def test_a_rate_is_kept_and_what_was_not_used_is_not_saved_for_long(clock: Time) -> None:
    pacing = Pacing(clock, clock, windows=None, per_minute=6)
    assert pacing.admits(8, 0) == 1
    pacing.took(1)
    assert (pacing.admits(8, 0), pacing.opens_in()) == (0, 10.0)
    clock.pass_seconds(9)
    assert (pacing.admits(8, 0), round(pacing.opens_in(), 6)) == (0, 1.0)
    clock.pass_seconds(600)
    assert pacing.admits(8, 0) == 1
    fast = Pacing(clock, clock, windows=None, per_minute=600)
    assert fast.admits(100, 0) == 10
    fast.took(4)
    assert (fast.admits(100, 0), fast.admits(2, 0)) == (6, 2)
    clock.pass_seconds(0.5)
    assert fast.admits(100, 0) == 10


async def test_work_waits_for_its_window_without_a_try(store: Store, clock: Time) -> None:
    station = Station()
    hours = windows(clock, timedelta(hours=1), timedelta(hours=1))
    handling = Handling(station, pacing=Pacing(clock, clock, windows=hours, per_minute=None))
    other = Station()
    async with working(store, clock, test=handling, other=Handling(other)):
        waits = await add(store, clock.now)
        await reach(store, await add(store, clock.now, kind="other"), "done")
        found = await row(store, waits)
        assert (found["state"], found["attempts"], station.works) == ("pending", 0, [])
        clock.pass_seconds(HOUR)
        assert (await reach(store, waits, "done"))["attempts"] == 1


async def test_work_comes_one_after_another_at_its_rate(store: Store, clock: Time) -> None:
    station = Station()
    pacing = Pacing(clock, clock, windows=None, per_minute=1)
    async with working(store, clock, test=Handling(station, pacing=pacing)):
        for lane in "abc":
            await add(store, clock.now, lane)
        for number in (1, 2, 3):
            await until(lambda number=number: len(station.works) == number)  # type: ignore[misc]
            assert pacing.opens_in() > 59
            clock.pass_seconds(60)
