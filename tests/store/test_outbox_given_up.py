"""Work that a person gives up: its note, what waited behind it, and the way back."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.errors import Conflict, Fate, UnknownKey
from gateway.records.row_ids import WorkRow
from gateway.records.work import polls_of
from gateway.store import Store, outbox_claims, outbox_given_up, outbox_listing
from tests.store.work import SECOND, adding, claim_one, claiming, row, state

NOW = 1_900_000_000_000_000
WHY = {"person": "night", "note": "no such patient"}
giving_up = partial(outbox_given_up.give_up, now=NOW + SECOND, person=WHY["person"], note=WHY["note"])


async def parked(store: Store, lane: str, error: str = "no") -> WorkRow:
    await store.write(adding(lane, due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    await store.write(
        partial(outbox_claims.fail, work=work, fate=Fate.PARK, now=NOW, due_at=NOW, outcome={"error": error})
    )
    return work.id


async def test_it_keeps_its_error_and_the_note_and_calls_for_nobody(store: Store) -> None:
    work = await parked(store, "a")
    assert await store.write(partial(giving_up, ids=[work])) == [work]
    found = await row(store, work)
    assert (found["state"], found["finished_at"]) == ("given-up", NOW + SECOND)
    assert found["outcome"] == {"error": "no", "given_up": {"at": NOW + SECOND, **WHY}}
    assert await store.read(outbox_listing.stuck) == []
    await store.write(partial(outbox_listing.replay, ids=[work], now=NOW))
    assert (await claim_one(store, NOW)).id == work


async def test_what_waited_behind_it_goes_on(store: Store) -> None:
    first = await store.write(adding("a", due_at=NOW + SECOND, now=NOW))
    second = await store.write(adding("a", due_at=NOW, now=NOW))
    assert await store.write(claiming(NOW)) == []
    await store.write(partial(giving_up, ids=[first]))
    assert (await claim_one(store, NOW)).id == second


async def test_what_is_done_or_is_not_there_cannot_be_given_up(store: Store) -> None:
    await store.write(adding("a", due_at=NOW, now=NOW))
    work = await claim_one(store, NOW)
    with pytest.raises(Conflict, match="it is leased"):
        await store.write(partial(giving_up, ids=[work.id]))
    with pytest.raises(UnknownKey, match="no delivery 77"):
        await store.write(partial(giving_up, ids=[WorkRow(77)]))


async def test_the_poll_that_others_follow_cannot_be_given_up(store: Store) -> None:
    poll = await store.write(adding("archive", due_at=NOW, now=NOW, kind=polls_of("archive")))
    with pytest.raises(Conflict, match="gateway pause archive"):
        await store.write(partial(giving_up, ids=[poll]))
    assert await state(store, poll) == "pending"


async def test_all_of_a_cause_are_given_up_and_no_others(store: Store) -> None:
    wanted = [await parked(store, lane) for lane in "abc"]
    other = await parked(store, "d", "another thing")
    cause = (await row(store, wanted[0]))["cause"]
    assert await store.read(partial(outbox_listing.of_cause, key=cause)) == wanted
    assert await store.read(partial(outbox_listing.of_cause, key=cause, after=wanted[1])) == wanted[2:]
    page = await store.write(partial(outbox_listing.change_each, ids=[*wanted, WorkRow(77)], change=giving_up))
    assert (page.done, page.left, page.last) == (wanted, ["delivery 77: there is no delivery 77"], 77)
    assert await state(store, other) == "parked"
    assert await store.read(partial(outbox_listing.of_cause, key=cause)) == []
