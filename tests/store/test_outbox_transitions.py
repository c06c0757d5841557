"""The store does what the table of transitions says, and nothing else, for every state and every event."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from gateway.errors import Conflict, Fate
from gateway.records.work import TRANSITIONS, Work, WorkEvent, WorkState
from gateway.store import Store, outbox_claims, outbox_given_up, outbox_listing
from gateway.store.schema import outbox as table
from tests.store.work import LEASE, adding, claiming, state

NOW = 1_900_000_000_000_000


def _replay(connection: Connection, work: Work) -> None:
    try:
        outbox_listing.replay(connection, [work.id], now=NOW)
    except Conflict:
        pass


def _give_up(connection: Connection, work: Work) -> None:
    try:
        outbox_given_up.give_up(connection, [work.id], person="night", note="no such patient", now=NOW)
    except Conflict:
        pass


def _fail(fate: Fate) -> Callable[[Connection, Work], object]:
    return partial(outbox_claims.fail, fate=fate, now=NOW, due_at=NOW, outcome={})


def _wait(connection: Connection, work: Work) -> bool:
    return outbox_claims.close_all(connection, [(work, outbox_claims.Done(until=NOW))], now=NOW)


HAPPEN: dict[WorkEvent, Callable[[Connection, Work], object]] = {
    WorkEvent.CLAIM: lambda connection, _work: claiming(NOW)(connection),
    WorkEvent.SUCCEED: partial(outbox_claims.succeed, now=NOW, outcome={}),
    WorkEvent.FAIL_RETRY: _fail(Fate.RETRY),
    WorkEvent.FAIL_PARK: _fail(Fate.PARK),
    WorkEvent.FAIL_REJECT: _fail(Fate.REJECT),
    WorkEvent.LEASE_ENDS: lambda connection, _work: outbox_claims.release_all(connection),
    WorkEvent.SUPERSEDE: lambda connection, work: adding("a", due_at=NOW, now=NOW, supersede=True)(connection),
    WorkEvent.WAIT: _wait,
    WorkEvent.REPLAY: _replay,
    WorkEvent.GIVE_UP: _give_up,
}


async def _in_state(store: Store, wanted: WorkState) -> Work:
    """A row in `wanted`, with the lease that its last worker had."""
    await store.write(adding("a", due_at=NOW, now=NOW))
    (work,) = await store.write(claiming(NOW))
    held = wanted is WorkState.LEASED
    await store.write(
        lambda connection: connection.execute(
            table.update()
            .where(table.c.id == work.id)
            .values(state=wanted.value, lease_until=NOW + LEASE if held else 0)
        )
    )
    return work


async def test_every_pair_of_state_and_event(store: Store) -> None:
    assert set(HAPPEN) == set(WorkEvent)
    wrong = []
    for before in WorkState:
        for event in WorkEvent:
            work = await _in_state(store, before)
            await store.write(_happen(event, work))
            after = await state(store, work.id)
            expected = TRANSITIONS.get((before, event), before)
            if after != expected:
                wrong.append(f"{before} + {event}: {after}, the table says {expected}")
            await store.write(lambda connection: connection.execute(table.delete()))
    assert wrong == []


def _happen(event: WorkEvent, work: Work) -> Callable[[Connection], object]:
    return lambda connection: HAPPEN[event](connection, work)


async def test_who_does_not_hold_the_work_is_told(store: Store) -> None:
    for before in WorkState:
        for event in (WorkEvent.SUCCEED, WorkEvent.FAIL_RETRY, WorkEvent.FAIL_PARK, WorkEvent.WAIT):
            work = await _in_state(store, before)
            assert await store.write(_happen(event, work)) is (before is WorkState.LEASED), (before, event)
            await store.write(lambda connection: connection.execute(table.delete()))
