"""What waits for each receiver, since when, and what of it needs a person."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.errors import Fate, UnknownKey
from gateway.operations.receivers import pause, resume, states_of
from gateway.records.receiver import ACTIVITIES, Receiver, ReceiverType
from gateway.records.work import Activity, links_at, status_to
from gateway.store import Store, outbox_claims, outbox_given_up
from tests.store.work import SECOND, adding, claiming

NOW = 1_900_000_000_000_000
RECEIVERS = (Receiver("test", ReceiverType.EHR), Receiver("ris", ReceiverType.HL7))
states = partial(states_of, receivers=RECEIVERS)


def test_every_activity_with_a_target_has_one_type_of_receiver() -> None:
    listed = [one for of_type in ACTIVITIES.values() for one in of_type]
    own = {Activity.SETTLE, Activity.REQUEST, Activity.PROCEDURE, Activity.SERVE}
    assert sorted(listed) == sorted(set(Activity) - own)


async def test_what_waits_is_counted_by_receiver_with_its_oldest(store: Store) -> None:
    await store.write(adding("a", due_at=NOW + SECOND, now=NOW - 5 * SECOND))
    await store.write(adding("b", due_at=NOW, now=NOW, kind=links_at("test")))
    await store.write(adding("c", due_at=NOW - SECOND, now=NOW))
    await store.write(adding("c", due_at=NOW, now=NOW, kind=status_to("ris")))
    ehr, ris = await store.read(states)
    assert (ehr.waiting, ehr.oldest_at, ehr.next_at) == (3, NOW - 5 * SECOND, NOW - SECOND)
    assert (ris.waiting, ris.parked, ris.last_done_at, ris.pause) == (1, 0, None, None)


async def test_what_is_done_parked_and_given_up(store: Store) -> None:
    for lane in "abc":
        await store.write(adding(lane, due_at=NOW, now=NOW))
    done, parked, lost = await store.write(claiming(NOW))
    await store.write(partial(outbox_claims.succeed, work=done, now=NOW + SECOND, outcome={}))
    for work, fate in ((parked, Fate.PARK), (lost, Fate.REJECT)):
        await store.write(partial(outbox_claims.fail, work=work, fate=fate, now=NOW, due_at=NOW, outcome={}))
    await store.write(partial(outbox_given_up.give_up, ids=[lost.id], person="night", note="test", now=NOW))
    [ehr, _] = await store.read(states)
    assert (ehr.waiting, ehr.parked, ehr.given_up, ehr.oldest_at) == (0, 1, 1, None)
    assert ehr.last_done_at == NOW + SECOND


async def test_a_pause_is_kept_with_who_and_why_until_its_end(store: Store) -> None:
    change = partial(pause, receivers=RECEIVERS, person="night", note="upgrade", now=NOW)
    assert str(await store.write(partial(change, names=["test"]))) == "test is paused now"
    done = await store.write(partial(change, names=["test", "ris"], person="day"))
    assert str(done) == "ris is paused now; test is paused already"
    [ehr, _] = await store.read(states)
    assert ehr.pause is not None
    assert (ehr.pause.since, ehr.pause.person, ehr.pause.note) == (NOW, "night", "upgrade")
    assert str(await store.write(partial(resume, receivers=RECEIVERS, names=["test"]))) == "test is not paused now"
    [ehr, ris] = await store.read(states)
    assert (ehr.pause, ris.pause is None) == (None, False)


async def test_only_receivers_that_are_there(store: Store) -> None:
    with pytest.raises(UnknownKey, match="there is no receiver 'ehr'; the configuration has test, ris"):
        await store.write(partial(pause, receivers=RECEIVERS, names=["ehr"], person="", note="", now=NOW))
    await store.write(partial(pause, receivers=RECEIVERS, names=["ris"], person="", note="", now=NOW))
    # It has left the configuration since.
    assert (await store.write(partial(resume, receivers=RECEIVERS[:1], names=["ris"]))).changed == ["ris"]
    with pytest.raises(UnknownKey):
        await store.write(partial(resume, receivers=RECEIVERS, names=["ehr"]))
