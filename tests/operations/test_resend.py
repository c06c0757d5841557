"""Everything is sent once more to an EHR that has lost data, whatever the clocks were when it was added."""

from __future__ import annotations

import pytest

from gateway.operations.resend import resend_all
from gateway.store import Store, outbox_claims
from tests.conftest import Time
from tests.store.work import adding, claim_one

HOUR = 3600.0


async def delivered(store: Store, study: str, now: int) -> None:
    await store.write(adding(study, due_at=now, now=now))
    work = await claim_one(store, now)
    await store.write(lambda connection: outbox_claims.succeed(connection, work, now=now, outcome={}))


@pytest.mark.parametrize("wrong", [-24 * HOUR, -HOUR, HOUR, 24 * HOUR])
async def test_what_was_added_while_a_clock_was_wrong_is_sent_too(store: Store, clock: Time, wrong: float) -> None:
    await delivered(store, "1.2.1", clock.now)
    clock.pass_seconds(wrong)
    await delivered(store, "1.2.2", clock.now)
    clock.pass_seconds(-wrong)
    await delivered(store, "1.2.3", clock.now)
    clock.pass_seconds(1)
    counts = [count async for count in resend_all(store, "test", clock, first=0, per_second=10)]
    assert counts == [3]


async def test_only_what_was_added_since_is_sent(store: Store, clock: Time) -> None:
    await delivered(store, "1.2.1", clock.now)
    clock.pass_seconds(HOUR)
    since = clock.now
    await delivered(store, "1.2.2", clock.now)
    clock.pass_seconds(1)
    assert [count async for count in resend_all(store, "test", clock, first=since, per_second=10)] == [1]
