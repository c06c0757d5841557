"""The outbox: lanes, leases, retries, supersession and replay."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from sqlalchemy import Connection, select

from gateway.errors import Conflict, Fate, UnknownKey
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import Lane, Work, delivery_to
from gateway.store import Store, outbox, outbox_claims, outbox_listing, outbox_looks
from gateway.store.schema import outbox as table
from tests.conftest import Time, comes_true, until
from tests.store.work import KIND, LEASE, SECOND, adding, claim_one, claiming, row, state

NOW = 1_900_000_000_000_000


def succeeding(work: Work, now: int = NOW) -> partial[bool]:
    return partial(outbox_claims.succeed, work=work, now=now, outcome={"ok": True})


def failing(work: Work, fate: Fate, due_at: int = NOW) -> partial[bool]:
    return partial(outbox_claims.fail, work=work, fate=fate, now=NOW, due_at=due_at, outcome={"error": "no"})


# Lanes


async def test_only_the_head_of_a_lane_is_claimed(store: Store) -> None:
    first = await store.write(adding("a", due_at=NOW, now=NOW, number=1))
    second = await store.write(adding("a", due_at=NOW - SECOND, now=NOW, number=2))
    other = await store.write(adding("b", due_at=NOW, now=NOW))
    claimed = await store.write(claiming(NOW))
    assert [work.id for work in claimed] == [first, other]
    assert claimed[0] == Work(first, Lane(KIND, StudyInstanceUID("a")), {"number": 1}, 0, claimed[0].lease, NOW)
    assert await store.write(claiming(NOW)) == []
    assert await store.write(succeeding(claimed[0]))
    assert [work.id for work in await store.write(claiming(NOW))] == [second]


async def test_a_head_that_is_not_due_holds_its_lane(store: Store) -> None:
    first = await store.write(adding("a", due_at=NOW + SECOND, now=NOW))
    await store.write(adding("a", due_at=NOW, now=NOW))
    assert await store.write(claiming(NOW)) == []
    assert [work.id for work in await store.write(claiming(NOW + SECOND))] == [first]


@pytest.mark.parametrize("fate", [Fate.PARK, Fate.REJECT])
async def test_work_that_is_given_up_does_not_hold_its_lane(store: Store, fate: Fate) -> None:
    first = await store.write(adding("a", due_at=NOW, now=NOW))
    second = await store.write(adding("a", due_at=NOW, now=NOW))
    assert await store.write(failing(await claim_one(store, NOW), fate))
    assert (await claim_one(store, NOW)).id == second
    found = await row(store, first)
    assert (found["state"], found["finished_at"], found["outcome"]) == (f"{fate}ed", NOW, {"error": "no"})


async def test_a_kind_sees_its_own_work_only(store: Store) -> None:
    await store.write(adding("a", due_at=NOW, now=NOW, kind=delivery_to("other")))
    assert await store.write(claiming(NOW)) == []
    assert not await store.read(lambda connection: outbox_looks.has_due(connection, KIND, NOW))
    assert await store.read(lambda connection: outbox_looks.has_due(connection, delivery_to("other"), NOW))


async def test_the_limit_holds_and_the_earliest_come_first(store: Store) -> None:
    ids = [await store.write(adding(str(n), due_at=NOW - n, now=NOW)) for n in range(6)]
    claimed = await store.write(claiming(NOW, limit=4))
    assert [work.id for work in claimed] == sorted(ids[-4:])
    assert len(await store.write(claiming(NOW, limit=4))) == 2


async def test_lane_order_is_commit_order(shared_postgres: str) -> None:
    """PostgreSQL gives ids before the commit: without the lock on the lane the second could be sent first."""
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    inserted, go = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> int:
        number = adding("a", due_at=NOW, now=NOW)(connection)
        inserted.set()
        assert go.wait(120)
        return number

    first = asyncio.create_task(one.write(slowly))
    await until(inserted.is_set)
    elsewhere = await two.write(adding("b", due_at=NOW, now=NOW))
    second = asyncio.create_task(two.write(adding("a", due_at=NOW, now=NOW)))
    await _somebody_waits(one)
    assert not second.done()
    go.set()
    assert await first < await second
    assert [work.id for work in await two.write(claiming(NOW))] == sorted([await first, elsewhere])
    await asyncio.gather(one.close(), two.close())


async def _somebody_waits(store: Store) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    await comes_true(lambda: store.read(lambda connection: connection.exec_driver_sql(waiting).scalar()))


# Claims


async def test_two_workers_never_claim_the_same_row(shared_postgres: str) -> None:
    stores = await asyncio.gather(*(Store.open(shared_postgres) for _ in range(4)))
    lanes, each, limit = 40, 3, 3

    def fill(connection: Connection) -> None:
        for number in range(lanes * each):
            adding(str(number % lanes), due_at=NOW - number, now=NOW)(connection)

    await stores[0].write(fill)
    claims: list[int] = []
    sizes: list[int] = []
    order: list[int] = []

    async def work(store: Store) -> None:
        while await store.read(lambda connection: outbox_looks.has_due(connection, KIND, NOW)):
            got = await store.write(claiming(NOW, limit=limit))
            sizes.append(len(got))
            claims.extend(one.id for one in got)
            for one in got:
                order.append(one.id)
                assert await store.write(succeeding(one))

    await asyncio.gather(*(work(store) for store in stores))
    assert len(claims) == len(set(claims)) == lanes * each
    assert max(sizes) <= limit
    subjects: dict[str, list[int]] = {}
    for found in await stores[0].read(lambda c: c.execute(select(table.c.id, table.c.lane)).all()):
        subjects.setdefault(found.lane, []).append(found.id)
    for ids in subjects.values():
        assert [one for one in order if one in ids] == sorted(ids)
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_claim_passes_over_what_another_is_claiming(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    ids = [await one.write(adding(str(n), due_at=NOW, now=NOW)) for n in range(5)]
    claimed, go = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> list[Work]:
        got = claiming(NOW, limit=3)(connection)
        claimed.set()
        assert go.wait(120)
        return got

    first = asyncio.create_task(one.write(slowly))
    await until(claimed.is_set)
    others = [work.id for work in await two.write(claiming(NOW, limit=3))]
    assert not first.done(), "the second did not wait"
    go.set()
    assert [work.id for work in await first] == ids[:3]
    assert others == ids[3:]
    await asyncio.gather(one.close(), two.close())


async def test_a_lease_that_ended_is_taken_over_and_the_first_worker_is_fenced_off(store: Store, clock: Time) -> None:
    number = await store.write(adding("a", due_at=clock.now, now=clock.now))
    await store.write(adding("a", due_at=clock.now, now=clock.now))
    first = await claim_one(store, clock.now)
    clock.pass_seconds(59.9)
    assert await store.write(claiming(clock.now)) == []
    clock.pass_seconds(0.1)
    second = await claim_one(store, clock.now)
    assert (second.id, second.attempts) == (number, 1), "the head itself, not the row behind it"
    assert second.lease != first.lease
    assert not await store.write(succeeding(first))
    assert not await store.write(failing(first, Fate.REJECT))
    assert not await store.write(partial(outbox_claims.renew, work=first, until=clock.now + LEASE))
    assert await state(store, number) == "leased"
    assert await store.write(succeeding(second))
    assert not await store.write(succeeding(second)), "once"


async def test_a_renewed_lease_holds(store: Store, clock: Time) -> None:
    await store.write(adding("a", due_at=clock.now, now=clock.now))
    work = await claim_one(store, clock.now)
    clock.pass_seconds(30)
    assert await store.write(partial(outbox_claims.renew, work=work, until=clock.now + LEASE))
    clock.pass_seconds(59)
    assert await store.write(claiming(clock.now)) == []
    assert await store.write(succeeding(work))


async def test_retries_are_columns(database_url: str) -> None:
    store = await Store.open(database_url)
    number = await store.write(adding("a", due_at=NOW, now=NOW))
    for attempt in range(3):
        work = await claim_one(store, NOW + attempt * SECOND)
        assert work.attempts == attempt
        assert await store.write(failing(work, Fate.RETRY, due_at=NOW + (attempt + 1) * SECOND))
        await store.close()
        store = await Store.open(database_url)
        found = await row(store, number)
        assert (found["state"], found["attempts"], found["due_at"]) == (
            "pending",
            attempt + 1,
            NOW + (attempt + 1) * SECOND,
        )
        assert (found["lease"], found["lease_until"], found["finished_at"]) == ("", 0, None)
        assert await store.write(claiming(NOW + attempt * SECOND)) == []
    await store.close()


async def test_leases_of_a_process_that_is_gone_are_released(store: Store) -> None:
    numbers = [await store.write(adding(lane, due_at=NOW, now=NOW)) for lane in ("a", "b")]
    await store.write(claiming(NOW))
    assert await store.write(outbox_claims.release_all) == 2
    assert [(work.id, work.attempts) for work in await store.write(claiming(NOW))] == [(one, 1) for one in numbers]


async def test_leases_of_one_process_are_released_and_no_other(store: Store) -> None:
    of_first, of_second = [await store.write(adding(lane, due_at=NOW, now=NOW)) for lane in ("a", "b")]
    for holder in ("run-1-", "run-2-"):
        claim = partial(outbox_claims.claim, kind=KIND, now=NOW, lease_micros=LEASE, limit=1, holder=holder)
        assert len(await store.write(claim)) == 1
    assert await store.write(partial(outbox_claims.release_of, holder="run-1-")) == 1
    assert [await state(store, one) for one in (of_first, of_second)] == ["pending", "leased"]


async def test_next_due_is_when_a_head_can_be_claimed(store: Store) -> None:
    def next_due(connection: Connection) -> int | None:
        return outbox_looks.next_due(connection, KIND)

    assert await store.read(next_due) is None
    await store.write(adding("a", due_at=NOW + 5 * SECOND, now=NOW))
    await store.write(adding("a", due_at=NOW, now=NOW))
    assert await store.read(next_due) == NOW + 5 * SECOND, "not the row behind the head"
    await store.write(adding("other", due_at=NOW, now=NOW, kind=delivery_to("other")))
    assert await store.read(next_due) == NOW + 5 * SECOND
    await store.write(claiming(NOW + 5 * SECOND))
    assert await store.read(next_due) == NOW + 5 * SECOND + LEASE
    await store.write(adding("b", due_at=NOW + SECOND, now=NOW))
    assert await store.read(next_due) == NOW + SECOND


async def test_has_due_says_whether_a_claim_would_find_anything(store: Store) -> None:
    async def agree(now: int, expected: bool) -> None:
        assert await store.read(lambda connection: outbox_looks.has_due(connection, KIND, now)) is expected
        assert bool(await store.write(claiming(now))) is expected

    await agree(NOW, False)
    await store.write(adding("a", due_at=NOW + SECOND, now=NOW))
    await store.write(adding("a", due_at=NOW, now=NOW))
    await agree(NOW, False)
    await agree(NOW + SECOND, True)
    await agree(NOW + SECOND, False)
    await agree(NOW + SECOND + LEASE, True)


# Supersession and postponement


async def test_later_work_takes_the_place_of_what_waits_or_is_parked(store: Store) -> None:
    parked = await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(failing(await claim_one(store, NOW), Fate.PARK))
    waiting = await store.write(adding("a", due_at=NOW + SECOND, now=NOW))
    elsewhere = await store.write(adding("b", due_at=NOW + SECOND, now=NOW))
    newest = await store.write(adding("a", due_at=NOW, now=NOW + 1, supersede=True))
    assert [await state(store, one) for one in (parked, waiting, elsewhere, newest)] == [
        "superseded", "superseded", "pending", "pending",
    ]  # fmt: skip
    assert (await row(store, waiting))["finished_at"] == NOW + 1
    assert (await claim_one(store, NOW)).id == newest


async def test_later_work_follows_what_is_under_way(store: Store) -> None:
    first = await store.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    second = await store.write(adding("a", due_at=NOW, now=NOW, supersede=True))
    assert [await state(store, one) for one in (first, second)] == ["leased", "pending"]
    assert await store.write(claiming(NOW)) == []
    assert await store.write(failing(work, Fate.RETRY, due_at=NOW + SECOND))
    assert await store.write(claiming(NOW)) == [], "it is tried again first"


async def test_latest_is_the_newest_row_of_the_lane(store: Store) -> None:
    def latest(connection: Connection) -> object:
        return outbox.latest(connection, Lane(KIND, StudyInstanceUID("a")))

    assert await store.read(latest) is None
    await store.write(adding("a", due_at=NOW, now=NOW, number=1))
    number = await store.write(adding("a", due_at=NOW, now=NOW, number=2))
    await store.write(adding("a", due_at=NOW, now=NOW, kind=delivery_to("other")))
    assert await store.read(latest) == {"id": number, "state": "pending", "payload": {"number": 2}}


# Replay


async def test_replayed_work_is_due_now_and_remembers_its_tries(store: Store) -> None:
    number = await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(failing(await claim_one(store, NOW), Fate.PARK))
    assert await store.write(partial(outbox_listing.replay, ids=[number], now=NOW + SECOND)) == [number]
    found = await row(store, number)
    assert (found["state"], found["due_at"], found["finished_at"]) == ("pending", NOW + SECOND, None)
    assert (await claim_one(store, NOW + SECOND)).attempts == 1


async def test_replay_of_waiting_work_ends_its_pause(store: Store) -> None:
    number = await store.write(adding("a", due_at=NOW + 600 * SECOND, now=NOW))
    await store.write(partial(outbox_listing.replay, ids=[number], now=NOW))
    assert (await claim_one(store, NOW)).id == number


async def test_replay_of_what_does_not_exist_is_refused_whole(store: Store) -> None:
    number = await store.write(adding("a", due_at=NOW + SECOND, now=NOW))
    with pytest.raises(UnknownKey, match="delivery 999: there is no delivery 999"):
        await store.write(partial(outbox_listing.replay, ids=[number, WorkRow(999)], now=NOW))
    assert (await row(store, number))["due_at"] == NOW + SECOND


async def test_replayed_work_stands_before_what_was_added_after_it(store: Store) -> None:
    first = await store.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    second = await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(failing(work, Fate.PARK))
    await store.write(partial(outbox_listing.replay, ids=[first], now=NOW))
    again = await claim_one(store, NOW)
    assert again.id == first
    await store.write(succeeding(again))
    assert (await claim_one(store, NOW)).id == second


@pytest.mark.parametrize("finished", [False, True])
async def test_overtaken_work_is_not_replayed(store: Store, finished: bool) -> None:
    """Sending it now would put an older version of the study in the place of the newer one."""
    first = await store.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    second = await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(failing(work, Fate.PARK))
    later = await claim_one(store, NOW)
    if finished:
        await store.write(succeeding(later))
    why = "it is superseded" if finished else f"delivery {second} of the same lane"
    with pytest.raises(Conflict, match=why):
        await store.write(partial(outbox_listing.replay, ids=[first], now=NOW))
    assert await state(store, first) == ("superseded" if finished else "parked"), "nobody need clear what is overtaken"


async def test_what_takes_the_place_of_a_tried_row_is_no_first_try(store: Store) -> None:
    """The row it replaces may have reached the EHR: ask first, and wait as long as that row would have."""
    await store.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    await store.write(partial(outbox_claims.fail, work=work, fate=Fate.RETRY, now=NOW, due_at=NOW + 500, outcome={}))
    await store.write(adding("a", due_at=NOW + 1, now=NOW + 1, supersede=True))
    assert await store.write(claiming(NOW + 499)) == []
    later = await claim_one(store, NOW + 500)
    assert (later.id != work.id, later.attempts) == (True, 1)


async def test_a_lane_is_worked_off_one_at_a_time_even_after_a_replay(store: Store, clock: Time) -> None:
    """As when a replay and a claim of the row behind meet: the replayed row is first in line, the other under way."""
    first = await store.write(adding("a", due_at=clock.now, now=clock.now))
    work = await claim_one(store, clock.now)
    second = await store.write(adding("a", due_at=clock.now, now=clock.now))
    await store.write(failing(work, Fate.PARK))
    await claim_one(store, clock.now)
    await store.write(lambda c: c.execute(table.update().where(table.c.id == first).values(state="pending")))
    assert await store.write(claiming(clock.now)) == []
    clock.pass_seconds(60)
    assert (await claim_one(store, clock.now)).id == first, "and a lease that ended does not stop the lane"
    assert await state(store, second) == "leased"


async def test_replay_waits_for_a_claim_of_the_row_behind(shared_postgres: str) -> None:
    one, two = await asyncio.gather(Store.open(shared_postgres), Store.open(shared_postgres))
    first = await one.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(one, NOW)
    await one.write(adding("a", due_at=NOW, now=NOW))
    await one.write(failing(work, Fate.PARK))
    claimed, go = threading.Event(), threading.Event()

    def slowly(connection: Connection) -> list[Work]:
        got = claiming(NOW)(connection)
        claimed.set()
        assert go.wait(120)
        return got

    claim = asyncio.create_task(one.write(slowly))
    await until(claimed.is_set)
    replay = asyncio.create_task(two.write(partial(outbox_listing.replay, ids=[first], now=NOW)))
    await _somebody_waits(two)
    go.set()
    await claim
    with pytest.raises(Conflict):
        await replay
    await asyncio.gather(one.close(), two.close())


# For people


async def test_the_listing_tells_all_but_payload_and_lease(store: Store) -> None:
    ids = [await store.write(adding(lane, due_at=NOW, now=NOW, secret="x")) for lane in ("a", "b", "a")]

    async def listed(**wanted: object) -> list[int]:
        rows = await store.read(lambda connection: outbox_listing.listing(connection, **wanted))  # type: ignore[arg-type]
        assert all("payload" not in one and "lease" not in one for one in rows)
        return [one["id"] for one in rows]

    await store.write(failing((await store.write(claiming(NOW, limit=1)))[0], Fate.PARK))
    assert await listed() == ids[::-1]
    assert await listed(states=("parked", "rejected")) == [ids[0]]
    assert await listed(subject="a") == [ids[2], ids[0]]
    assert await listed(limit=1) == [ids[2]]
    assert await listed(before=ids[2]) == [ids[1], ids[0]]
    assert sorted(await store.read(outbox_listing.counts)) == [(str(KIND), "parked", 1), (str(KIND), "pending", 2)]
