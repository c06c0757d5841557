"""A chain that is broken behind the gateway's back is seen by the walks in the background."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from gateway.observe import metrics
from gateway.operations.audit import watching
from gateway.operations.audit.watching import ChainPace, ChainWatch
from gateway.records.audit import AuditEvent, AuditKind
from gateway.store import Store, audit
from tests.conftest import Time
from tests.operations.audit.test_verifying import TAMPERING, chain, done

FAST = ChainPace(0.0, 0.0, 0.0, share=1.0)
FIRST_ROW_WITH_ANOTHER_HASH = "UPDATE audit SET hash = (SELECT hash FROM audit WHERE sequence = 2) WHERE sequence = 1"


def watch_of(store: Store, clock: Time) -> tuple[ChainWatch, list[AuditEvent]]:
    events: list[AuditEvent] = []
    return ChainWatch(store, events.append, clock, FAST), events


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", TAMPERING)
async def test_what_was_tampered_with_is_seen_and_recorded_once(
    store: Store, clock: Time, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    statements, sequence, _ = TAMPERING[what]
    await chain(store)
    watch, events = watch_of(store, clock)
    await watch.walk_newest()
    await watch.walk_whole()
    assert (watch.standing().fault, watch.standing().rows, events) == (None, 12, [])
    await store.write(partial(done, statements))
    clock.pass_seconds(60)
    for _ in range(2):
        await watch.walk_whole()
        await watch.walk_newest()
    fault = watch.standing().fault
    assert fault is not None
    assert (fault.sequence, watch.standing().fault_since) == (sequence, clock.now)
    assert metrics.REGISTRY.get_sample_value("gateway_audit_chain_broken") == 1
    [event] = events
    assert (event.kind, event.actor.name) == (AuditKind.SECURITY_ALERT, "gateway")
    assert f"broken: row {sequence} " in event.note
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"the chain of the audit trail is broken at {fault}"]


async def test_newest_rows_alone_show_what_happened_to_them_and_to_the_end(
    store: Store, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "NEWEST_ROWS", 4)
    await chain(store)
    watch, _ = watch_of(store, clock)
    await watch.walk_newest()
    await store.write(partial(done, [FIRST_ROW_WITH_ANOTHER_HASH]))
    await watch.walk_newest()
    assert watch.standing().fault is None, "that row is not among the newest"
    # All that came since the walk before, be it more than the newest.
    await chain(store, 20)
    await store.write(partial(done, ["UPDATE audit SET actor = 'nobody' WHERE sequence = 14"]))
    await watch.walk_newest()
    fault = watch.standing().fault
    assert fault is not None
    assert fault.sequence == 14
    await store.write(partial(done, ["DELETE FROM audit WHERE sequence > 11"]))
    await watch.walk_newest()
    fault = watch.standing().fault
    assert fault is not None
    assert "row 12 was noted" in fault.text


async def test_a_chain_that_is_put_right_is_whole_again(store: Store, clock: Time) -> None:
    await chain(store)
    watch, _ = watch_of(store, clock)
    for statement, is_broken in (("= sequence + 1", True), ("= sequence", False)):
        await store.write(partial(done, [f"UPDATE audit SET moment {statement} WHERE sequence = 4"]))
        await watch.walk_newest()
        await watch.walk_whole()
        assert (watch.standing().fault is not None) is is_broken
    assert metrics.REGISTRY.get_sample_value("gateway_audit_chain_broken") == 0


async def test_rows_that_go_by_their_age_break_nothing(store: Store, clock: Time) -> None:
    await chain(store)
    watch, events = watch_of(store, clock)
    for moment in (5, 100):
        await watch.walk_newest()
        await store.write(partial(audit.forget_before, moment=moment, now=50, limit=50))
        await watch.walk_newest()
        await watch.walk_whole()
    await store.write(audit.seal)
    await watch.walk_newest()
    await watch.walk_whole()
    assert (watch.standing().fault, events) == (None, [])
