"""Everything is sent to an EHR once more in the background of a gateway that serves."""

from __future__ import annotations

from functools import partial

import pytest

from gateway.errors import Conflict
from gateway.operations import feeds as module
from gateway.operations.feeds import Feeds
from gateway.store import Store, outbox, outbox_listing
from tests.conftest import Time
from tests.operations.test_resend import delivered


@pytest.fixture(autouse=True)
def _page_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAGE", 2)
    monkeypatch.setattr(module, "WAIT_SECONDS", 120.0)


async def test_it_is_done_and_counted(store: Store, clock: Time) -> None:
    for number in range(5):
        await delivered(store, f"1.2.{number}", clock.now)
    feeds = Feeds(store, clock)
    feed = await feeds.begin("test", first=0, per_second=10)
    assert (feed.added, feed.finished, feed.error) == (5, True, "")
    assert feeds.feeds == [feed]
    assert len(await store.read(partial(outbox_listing.listing, states=("pending",)))) == 5
    assert (await feeds.begin("test", first=0, per_second=10)).added == 0, "they wait already"


async def test_one_at_a_time_and_its_end_with_the_process(
    store: Store, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    for number in range(5):
        await delivered(store, f"1.2.{number}", clock.now)
    feeds = Feeds(store, clock)
    feed = await feeds.begin("test", first=0, per_second=10)
    assert not feed.finished
    with pytest.raises(Conflict, match="being sent everything already"):
        await feeds.begin("test", first=0, per_second=10)
    await feeds.close()
    assert not feed.finished


async def test_a_database_that_fails_ends_it_with_the_cause(store: Store, clock: Time) -> None:
    feeds = Feeds(store, clock)
    await store.close()
    feed = await feeds.begin("test", first=0, per_second=10)
    assert (feed.finished, feed.error) == (True, "database: the store is closing")


async def test_a_fault_of_ours_ends_it_and_is_shown(
    store: Store, clock: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("of a patient")

    monkeypatch.setattr(outbox, "lanes_since", broken)
    feed = await Feeds(store, clock).begin("test", first=0, per_second=10)
    assert (feed.finished, feed.error) == (True, "internal error; the log says where")
    assert "the resend to test failed after 0 deliveries" in caplog.text
