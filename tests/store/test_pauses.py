"""Nothing of a receiver that is paused is claimed, looked for or waited for; all else goes on."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.records.receiver import Pause
from gateway.records.work import links_at
from gateway.store import Store, outbox_claims, outbox_looks, pauses
from tests.store.work import KIND, LEASE, SECOND, adding, claim_one, claiming, state

NOW = 1_900_000_000_000_000
PAUSE = Pause("test", NOW, "night", "upgrade")


async def test_a_paused_receiver_gets_nothing_and_others_do(store: Store) -> None:
    await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(adding("a", due_at=NOW, now=NOW, kind=links_at("test")))
    other = await store.write(adding("a", due_at=NOW, now=NOW, kind=links_at("other")))
    assert await store.write(partial(pauses.begin, wanted=[PAUSE])) == ["test"]
    assert await store.read(pauses.listing) == {"test": PAUSE}
    for kind in (KIND, links_at("test")):
        assert not await store.read(partial(outbox_looks.has_due, kind=kind, now=NOW))
        assert await store.write(claiming(NOW, kind=kind)) == []
        assert await store.read(partial(outbox_looks.next_due, kind=kind)) is None
    assert [one.id for one in await store.write(claiming(NOW, kind=links_at("other")))] == [other]


async def test_what_is_under_way_ends_and_a_lease_that_ended_waits(store: Store) -> None:
    await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(adding("b", due_at=NOW, now=NOW))
    works = await store.write(claiming(NOW))
    await store.write(partial(pauses.begin, wanted=[PAUSE]))
    assert await store.write(partial(outbox_claims.succeed, work=works[0], now=NOW, outcome={}))
    assert await store.write(claiming(NOW + LEASE)) == []
    assert await store.read(partial(outbox_looks.next_due, kind=KIND)) is None
    assert await state(store, works[1].id) == "leased"


async def test_a_second_pause_keeps_the_first_and_its_end_wakes_the_worker(store: Store) -> None:
    await store.write(adding("a", due_at=NOW, now=NOW))
    await store.write(partial(pauses.begin, wanted=[PAUSE]))
    assert await store.write(partial(pauses.begin, wanted=[Pause("test", NOW + SECOND, "day")])) == []
    assert await store.read(pauses.listing) == {"test": PAUSE}
    woken = asyncio.Event()
    store.on_due(lambda _due: woken.set())
    assert await store.write(partial(pauses.end, receiver="test"))
    assert not await store.write(partial(pauses.end, receiver="test"))
    async with asyncio.timeout(120):
        await woken.wait()
    assert (await claim_one(store, NOW)).attempts == 0
