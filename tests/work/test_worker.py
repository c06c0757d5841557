"""The worker: fates become states, lanes and kinds do not hold one another, nothing is lost on the way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from gateway import clock as clocks
from gateway.errors import Fate, NeedsPerson, Rejected, Unavailable
from gateway.records.work import Work, delivery_to
from gateway.store import Store, outbox_claims
from gateway.store.outbox_claims import Done
from gateway.store.schema import outbox as table
from gateway.work.handling import Handling
from gateway.work.lease import Lease
from gateway.work.worker import Worker
from tests.conftest import Time, comes_true, until
from tests.store.notes import kept, note
from tests.store.work import KIND, SECOND, adding, claiming, row


@asynccontextmanager
async def working(store: Store, clock: Callable[[], int], **handlings: Handling) -> AsyncIterator[Worker]:
    """A worker of deliveries to receivers of these names, at work; ends it, and fails with what it failed with."""
    worker = Worker(store, {delivery_to(name): handling for name, handling in handlings.items()}, clock)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        done = task.done()
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert not done, outcome


async def add(store: Store, now: int, lane: str = "a", *, kind: str = "test", due_in: float = 0) -> int:
    return await store.write(adding(lane, due_at=now + round(due_in * SECOND), now=now, kind=delivery_to(kind)))


async def reach(store: Store, work: int, wanted: str, *, tries: int | None = None) -> dict[str, Any]:
    """Wait until the row is in `wanted` and no longer leased, and return it."""
    reached: dict[str, Any] = await comes_true(
        lambda: row(store, work), lambda found: found["state"] == wanted and tries in (None, found["attempts"])
    )
    return reached


def _nothing(connection: Connection) -> None:
    connection.execute(select(1))


class Station:
    """A handler that does what the test says and remembers what it was given."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.works: list[Work] = []
        self.outcomes = list(outcomes)
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, work: Work, lease: Lease) -> Done:
        self.works.append(work)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return Done({"answer": 201}, partial(_note, reason=f"done {work.id}"))


def _note(connection: Connection, *, reason: str) -> None:
    note(reason)(connection)


async def test_work_that_succeeds_is_done_with_its_outcome(store: Store, clock: Time) -> None:
    station = Station()
    async with working(store, clock, test=Handling(station)):
        number = await add(store, clock.now)
        found = await reach(store, number, "done")
    assert (found["outcome"], found["finished_at"], found["attempts"]) == ({"answer": 201}, clock.now, 1)
    assert await kept(store) == [f"done {number}"], "written with it"
    assert [(work.id, work.attempts, work.subject) for work in station.works] == [(number, 0, "a")]


@pytest.mark.parametrize(
    ("error", "state", "outcome"),
    [
        (NeedsPerson("ask", place="EHR"), "parked", {"error": "ask", "place": "EHR"}),
        (Rejected("no", place="PID-3"), "rejected", {"error": "no", "place": "PID-3"}),
        (ZeroDivisionError("Testperson"), "parked", {"error": "internal error ZeroDivisionError", "place": ""}),
    ],
)
async def test_a_fate_becomes_a_state(
    store: Store, clock: Time, error: Exception, state: str, outcome: dict[str, Any]
) -> None:
    async with working(store, clock, test=Handling(Station(error))):
        first = await add(store, clock.now)
        second = await add(store, clock.now, lane="b")
        found = await reach(store, first, state)
        assert found["outcome"] == outcome
        await reach(store, second, "done")
    assert await kept(store) == [f"done {second}"]


async def test_details_of_an_error_are_kept(store: Store, clock: Time) -> None:
    error = NeedsPerson("no")
    error.details = {"issue": [{"code": "invalid"}]}
    async with working(store, clock, test=Handling(Station(error))):
        found = await reach(store, await add(store, clock.now), "parked")
    assert found["outcome"]["issue"] == [{"code": "invalid"}]


async def test_an_outcome_that_cannot_be_kept_is_parked_all_the_same(store: Store, clock: Time) -> None:
    async def odd(work: Work, lease: Lease) -> Done:
        return Done({"object": object()})

    error = NeedsPerson("\ud800 is half a character")
    async with working(store, clock, test=Handling(Station(error)), odd=Handling(odd)):
        first = await reach(store, await add(store, clock.now), "parked")
        second = await reach(store, await add(store, clock.now, kind="odd"), "parked")
    assert first["outcome"]["error"].startswith("NeedsPerson, whose details could not be kept")
    assert second["outcome"]["error"].startswith("internal error ")


async def test_work_that_is_away_is_tried_again_when_it_is_due(store: Store, clock: Time) -> None:
    station = Station(Unavailable("away"), Unavailable("away"))
    kind = Handling(station, first_retry_seconds=10, max_retry_seconds=1000)
    async with working(store, clock, test=kind):
        number = await add(store, clock.now)
        found = await reach(store, number, "pending", tries=1)
        assert 7.5 * SECOND <= found["due_at"] - clock.now <= 10 * SECOND
        assert found["outcome"] == {"error": "away", "place": ""}
        clock.pass_seconds(10)
        found = await reach(store, number, "pending", tries=2)
        assert 15 * SECOND <= found["due_at"] - clock.now <= 20 * SECOND
        clock.pass_seconds(20)
        await reach(store, number, "done")
    assert [work.attempts for work in station.works] == [0, 1, 2]


async def test_no_more_at_once_than_the_kind_allows(store: Store, clock: Time) -> None:
    station = Station()
    station.go.clear()
    for number in range(7):
        await add(store, clock.now, str(number))
    async with working(store, clock, test=Handling(station, concurrency=3)):
        await until(lambda: station.running == 3)
        last = await add(store, clock.now, "last")
        station.go.set()
        await reach(store, last, "done")
    assert station.most == 3
    assert len({work.id for work in station.works}) == len(station.works) == 8


async def test_one_lane_is_worked_off_one_at_a_time_and_in_order(store: Store, clock: Time) -> None:
    station = Station()
    ids = [await add(store, clock.now) for _ in range(5)]
    async with working(store, clock, test=Handling(station)):
        await reach(store, ids[-1], "done")
    assert [work.id for work in station.works] == ids
    assert station.most == 1


async def test_a_slow_kind_does_not_hold_another(store: Store, clock: Time) -> None:
    slow, quick = Station(), Station()
    slow.go.clear()
    async with working(store, clock, slow=Handling(slow, concurrency=1), quick=Handling(quick)):
        stuck = await add(store, clock.now, "a", kind="slow")
        await add(store, clock.now, "b", kind="slow")
        await until(lambda: slow.running == 1)
        await reach(store, await add(store, clock.now, "a", kind="quick"), "done")
        assert (await row(store, stuck))["state"] == "leased"
        slow.go.set()
        await reach(store, stuck, "done")


async def test_a_lane_that_waits_costs_nothing(store: Store, clock: Time) -> None:
    """While the head is under way, or everybody is busy, the row behind, long due, does not make the worker spin."""
    reads = 0
    read = store.read

    async def counted(unit: Callable[[Connection], Any]) -> Any:
        nonlocal reads
        reads += 1
        return await read(unit)

    store.read = counted  # type: ignore[method-assign]
    for concurrency in (1, 4):
        station = Station()
        station.go.clear()
        async with working(store, clock, test=Handling(station, concurrency=concurrency)):
            lane = f"lane {concurrency}"
            for _ in range(3):
                await add(store, clock.now - SECOND, lane)
            await until(lambda station=station: station.running == 1)  # type: ignore[misc]
            before = reads
            for _ in range(100):  # a worker that would spin reads as often meanwhile
                await read(_nothing)
            assert reads - before < 50
            station.go.set()
            await until(lambda station=station: len(station.works) == 3)  # type: ignore[misc]


async def test_long_work_keeps_its_lease(store: Store, clock: Time) -> None:
    """By a clock that goes on only when it is renewed, however long a busy machine takes for that."""
    station = Station()
    station.go.clear()
    async with working(store, clock, test=Handling(station, lease_seconds=2.0)):
        number = await add(store, clock.now)
        await until(lambda: station.running == 1)
        first = (await row(store, number))["lease_until"]
        for _ in range(2):
            clock.pass_seconds(1.5)
            renewed = clock.now + 2 * SECOND
            await comes_true(lambda: row(store, number), lambda found: found["lease_until"] == renewed)  # noqa: B023
        assert clock.now > first
        assert station.most == 1
        station.go.set()
        await reach(store, number, "done")
    assert len(station.works) == 1


async def test_it_stops_at_whatever_moment(store: Store, clock: Time) -> None:
    """Also when a hint and the end come together, some turns of the loop apart."""
    for turns in range(12):
        worker = Worker(store, {KIND: Handling(Station())}, clock)
        task = asyncio.create_task(worker.run())
        await reach(store, await add(store, clock.now), "done")
        await store.read(lambda connection: None)
        worker._hint(frozenset({KIND}))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=60)
        stuck = not done
        task.cancel()
        await asyncio.wait([task], timeout=60)
        assert not stuck, f"{turns} turns after the hint"


async def test_work_of_a_worker_that_died_is_taken_up_again_after_its_lease(store: Store, clock: Time) -> None:
    station = Station()
    number = await add(store, clock.now)
    await store.write(claiming(clock.now))
    async with working(store, clock, test=Handling(station)):
        other = await add(store, clock.now, "other")
        await reach(store, other, "done")
        assert (await row(store, number))["state"] == "leased"
        clock.pass_seconds(60)
        await reach(store, number, "done")
    assert [work.attempts for work in station.works if work.id == number] == [1]


async def test_work_under_way_at_a_stop_is_handed_back(store: Store, clock: Time) -> None:
    """Its try counts, because it may have reached its receiver; nobody waits for its lease."""
    station = Station()
    station.go.clear()
    async with working(store, clock, test=Handling(station)):
        number = await add(store, clock.now)
        await until(lambda: station.running == 1)
    assert station.running == 0, "it was cut off"
    found = await row(store, number)
    assert (found["state"], found["lease"], found["attempts"]) == ("pending", "", 1)
    station.go.set()
    async with working(store, clock, test=Handling(station)):
        await reach(store, number, "done")
    assert [work.attempts for work in station.works] == [0, 1]


async def test_no_stop_leaves_work_claimed_that_nobody_does(store: Store, clock: Time) -> None:
    """Also when the stop meets the claim while it is being committed, or the work before its first step."""
    station = Station()
    station.go.clear()
    for turns in range(40):
        worker = Worker(store, {KIND: Handling(station)}, clock)
        task = asyncio.create_task(worker.run())
        number = await add(store, clock.now, f"lane {turns}")
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert (await row(store, number))["state"] == "pending", f"{turns} turns after the commit"


async def test_who_lost_the_lease_writes_nothing(store: Store, clock: Time) -> None:
    station = Station()
    station.go.clear()
    # Busy with this one, it does not take up its own work again.
    async with working(store, clock, test=Handling(station, concurrency=1)):
        number = await add(store, clock.now)
        await until(lambda: station.running == 1)
        clock.pass_seconds(61)
        (other,) = await store.write(claiming(clock.now))
        station.go.set()
        await until(lambda: station.running == 0)
        await reach(store, await add(store, clock.now, "later"), "done")
        found = await row(store, number)
        assert (found["state"], found["lease"]) == ("leased", other.lease)
        assert f"done {number}" not in await kept(store)
        assert await store.write(partial(outbox_claims.succeed, work=other, now=clock.now, outcome={"answer": 200}))


async def test_a_failure_of_what_is_written_with_it_is_a_failure_of_the_work(store: Store, clock: Time) -> None:
    def also(connection: Connection) -> None:
        note("half")(connection)
        raise NeedsPerson("the study is gone")

    async def handle(work: Work, lease: Lease) -> Done:
        return Done({}, also)

    async with working(store, clock, test=Handling(handle)):
        found = await reach(store, await add(store, clock.now), "parked")
    assert found["outcome"]["error"] == "the study is gone"
    assert await kept(store) == []


async def test_work_that_comes_while_the_worker_rests_is_taken_at_once(
    store: Store, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.work.worker.POLL_SECONDS", 3600.0)
    station = Station()
    async with working(store, clock, test=Handling(station)):
        for lane in "abcdefgh":
            number = await add(store, clock.now, lane)
            await reach(store, number, "done")


async def test_work_falls_due_without_a_hint(store: Store) -> None:
    async with working(store, clocks.now, test=Handling(Station())):
        number = await add(store, clocks.now(), due_in=0.2)
        found = await reach(store, number, "done")
    assert found["finished_at"] >= found["due_at"]


async def test_two_workers_do_each_work_once(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    station = Station()

    def fill(connection: Connection) -> None:
        for number in range(60):
            adding(str(number % 20), due_at=0, now=0)(connection)

    await one.write(fill)
    left = select(table.c.id).where(table.c.state != "done").limit(1)
    async with working(one, clocks.now, test=Handling(station)), working(two, clocks.now, test=Handling(station)):
        await comes_true(
            lambda: one.read(lambda connection: connection.execute(left).first()), lambda found: found is None
        )
    assert len(station.works) == len({work.id for work in station.works}) == 60
    await asyncio.gather(one.close(), two.close())


async def test_a_database_that_was_away_is_waited_for(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is locked by another program: claims fail, and so does the outcome of what is under way."""
    monkeypatch.setattr("gateway.store.engine.LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr("gateway.work.worker.POLL_SECONDS", 0.05)
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    station = Station()
    station.go.clear()
    clock = Time()
    async with working(store, clock, test=Handling(station, lease_seconds=60)):
        under_way = await add(store, clock.now, "a")
        await until(lambda: station.running == 1)
        waiting = await add(store, clock.now, "b", due_in=1)
        other.execute("BEGIN IMMEDIATE")
        station.go.set()
        await until(lambda: "could not be written" in caplog.text)
        clock.pass_seconds(1)
        await until(lambda: "the outbox cannot be read" in caplog.text)
        other.execute("ROLLBACK")
        await reach(store, waiting, "done")
        assert (await row(store, under_way))["state"] == "leased"
        clock.pass_seconds(60)
        await reach(store, under_way, "done", tries=2)
    assert caplog.text.count("the outbox cannot be read") == 1, "once, not once a second"
    other.close()
    await store.close()


async def test_a_connection_that_died_is_replaced(postgres_url: str) -> None:
    import psycopg

    store = await Store.open(postgres_url)
    station = Station()
    async with working(store, clocks.now, test=Handling(station, first_retry_seconds=0.01)):
        await reach(store, await add(store, clocks.now()), "done")
        with psycopg.connect(postgres_url, autocommit=True) as other:
            for _ in range(3):
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await reach(store, await add(store, clocks.now()), "done")
    await store.close()


def test_the_fates_are_three() -> None:
    assert {Fate.RETRY: Unavailable, Fate.PARK: NeedsPerson, Fate.REJECT: Rejected} == {
        kind.fate: kind for kind in (Unavailable, NeedsPerson, Rejected)
    }


class Gate:
    """Lets one through at a time, and is open."""

    def __init__(self, opens_in: float) -> None:
        self.seconds = opens_in
        self.asked = 0

    def admits(self, free: int, under_way: int) -> int:
        self.asked += 1
        return 1 if self.seconds <= 0 and under_way == 0 else 0

    def opens_in(self) -> float:
        return self.seconds


@pytest.mark.parametrize("opens_in", [-5.0, 30.0])
async def test_a_gate_is_not_asked_again_and_again(store: Store, clock: Time, opens_in: float) -> None:
    """Nothing is due, or nothing may be done: the outbox is left alone meanwhile."""
    gate, station = Gate(opens_in), Station()
    async with working(store, clock, test=Handling(station, gate=gate)):
        await until(lambda: gate.asked >= 2)
        first = gate.asked
        for _ in range(50):  # a worker that would ask for ever reads as often meanwhile
            await store.read(_nothing)
        assert gate.asked - first < 25
        if opens_in > 0:
            gate.seconds = 0.0
        await reach(store, await add(store, clock.now), "done")


async def test_one_that_a_gate_lets_through_is_followed_by_the_next(store: Store, clock: Time) -> None:
    station = Station()
    async with working(store, clock, test=Handling(station, gate=Gate(0.0))):
        works = [await add(store, clock.now, lane=str(number)) for number in range(5)]
        for one in works:
            await reach(store, one, "done")
    assert station.most == 1


def test_more_is_claimed_when_enough_places_are_free() -> None:
    async def nothing(_work: Work, _lease: Lease) -> Done:
        return Done()

    handling = Handling(nothing, concurrency=4, refill=2)
    assert [handling.admits(under_way) for under_way in range(5)] == [4, 3, 2, 0, 0]


async def test_the_log_names_the_cause_and_no_word_of_the_receiver(
    store: Store, clock: Time, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(_work: Work, _lease: Lease) -> Done:
        error = Rejected("HTTP 422: no patient Erika Muster")
        error.details = {"status": 422}
        raise error

    work = await add(store, clock())
    async with working(store, clock, test=Handling(refuse)):
        found = await reach(store, work, "rejected")
    assert f"ehr:test {work} is rejected: Rejected HTTP 422, cause {found['cause']}" in caplog.text
    assert "Erika" not in caplog.text
