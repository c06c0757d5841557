"""Whatever is done to the rows of the trail behind the gateway's back, the proof names the first row that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, text

from gateway.errors import InvalidValue
from gateway.operations.audit.verifying import Damage, verify
from gateway.records.audit import Actor, ActorKind
from gateway.store import Store, audit
from gateway.store.audit import Link
from tests.store.test_audit import happened, recorded

MORE = "UPDATE audit SET sequence = sequence + 1000 WHERE sequence >= 5"
TAMPERING = {
    "an event": (["UPDATE audit SET event = replace(event, 'A4', 'B4') WHERE sequence = 4"], 4, Damage.ALTERED),
    "a hash": ([f"UPDATE audit SET hash = {'{zero}'} WHERE sequence = 7"], 7, Damage.ALTERED),
    "a moment": (["UPDATE audit SET moment = 1 WHERE sequence = 4"], 4, Damage.ALTERED),
    "an actor": (["UPDATE audit SET actor = 'nobody' WHERE sequence = 9"], 9, Damage.ALTERED),
    "the patient of a row": (["UPDATE audit_patients SET patient_id = 'X' WHERE sequence = 3"], 3, Damage.ALTERED),
    "a row less": (["DELETE FROM audit WHERE sequence = 5"], 5, Damage.MISSING),
    "rows less": (["DELETE FROM audit WHERE sequence BETWEEN 5 AND 8"], 5, Damage.MISSING),
    "the first row less": (["DELETE FROM audit WHERE sequence = 1"], 1, Damage.MISSING),
    "a row more": (
        [
            MORE,
            "UPDATE audit SET sequence = sequence - 999 WHERE sequence > 1000",
            "INSERT INTO audit (sequence, moment, kind, actor, event, hash) "
            "SELECT 5, moment, kind, actor, event, hash FROM audit WHERE sequence = 3",
        ],
        5,
        Damage.PUT_IN,
    ),
    "the end, of which a repository has more": (
        [
            "DELETE FROM audit WHERE sequence > 9",
            "INSERT INTO audit_repositories (name, sequence) VALUES ('siem', 11)",
        ],
        10,
        Damage.MISSING,
    ),
    "the beginning, with an anchor": (
        [
            "INSERT INTO audit_anchors (id, sequence, hash, removed, moved_at) "
            "SELECT 1, sequence, hash, 4, 1 FROM audit WHERE sequence = 4",
            "DELETE FROM audit WHERE sequence <= 4",
            "DELETE FROM audit_patients WHERE sequence <= 4",
        ],
        5,
        Damage.MISSING,
    ),
}


async def chain(store: Store, number: int = 12) -> None:
    """So many rows, chained."""
    await store.write(recorded(*(happened(one, f"P{one % 3}") for one in range(1, number + 1))))
    await store.write(audit.seal)


def done(statements: list[str], connection: Connection) -> None:
    """What somebody does to the tables with SQL."""
    zero = "x'00'" if connection.dialect.name == "sqlite" else "'\\x00'"
    for statement in statements:
        connection.execute(text(statement.replace("{zero}", zero).replace(":", r"\:")))


async def test_a_whole_chain_is_proven(store: Store) -> None:
    await chain(store)
    await store.write(recorded(happened(13)))
    seen: list[int] = []
    verified = await verify(store, on_progress=seen.append)
    waiting = 1 if store.engine.dialect.name == "postgresql" else 0
    chained = 13 - waiting
    assert (verified.rows, verified.head.sequence, verified.waiting, verified.fault) == (
        chained,
        chained,
        waiting,
        None,
    )
    assert seen == [chained]
    again = await verify(store, head=verified.head)
    assert again.fault is None


@pytest.mark.parametrize("what", TAMPERING)
async def test_what_was_tampered_with_is_named(store: Store, what: str) -> None:
    statements, sequence, damage = TAMPERING[what]
    await chain(store)
    await store.write(partial(done, statements))
    fault = (await verify(store)).fault
    assert fault is not None
    assert (fault.sequence, fault.damage) == (sequence, damage), fault.text


async def test_a_chain_that_was_made_anew_is_shown_by_a_head_that_was_noted(store: Store) -> None:
    await chain(store)
    noted = (await verify(store)).head
    await store.write(partial(done, ["DELETE FROM audit", "DELETE FROM audit_patients"]))
    await chain(store, 20)
    assert (await verify(store)).fault is None
    assert (await verify(store, head=noted)).fault is None, "the same events give the same chain"
    fault = (await verify(store, head=Link(noted.sequence, bytes(32)))).fault
    assert fault is not None
    assert fault.damage is Damage.ALTERED
    fault = (await verify(store, head=Link(99, bytes(32)))).fault
    assert fault is not None
    assert fault.damage is Damage.MISSING


async def test_the_rest_is_provable_after_old_rows_were_removed(store: Store) -> None:
    await chain(store)
    for _ in range(2):
        assert await store.write(partial(audit.forget_before, moment=9, now=50, limit=4)) == 4
        assert (await verify(store)).fault is None, "also before the event is chained"
    await store.write(audit.seal)
    verified = await verify(store)
    assert (verified.fault, verified.begins_behind, verified.rows) == (None, 8, 6)
    await store.write(partial(done, ["UPDATE audit_anchors SET hash = {zero}"]))
    assert (await verify(store)).fault is not None


async def test_more_rows_than_a_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.operations.audit.verifying.BATCH", 5)
    await chain(store)
    seen: list[int] = []
    assert (await verify(store, on_progress=seen.append)).fault is None
    assert seen == [5, 10, 12]


async def test_rows_that_are_removed_by_age_meanwhile_break_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.operations.audit.verifying.BATCH", 3)
    for reads in range(1, 8):
        await chain(store)
        first = (await store.read(audit.beginning)).sequence
        verified = await verify(_Beside(store, reads))  # type: ignore[arg-type]
        assert verified.fault is None, (reads, verified.fault)
        assert (await store.read(audit.beginning)).sequence > first


class _Beside:
    """A store of which retention removes rows, and another process chains events, after so many reads."""

    def __init__(self, store: Store, reads: int) -> None:
        self._store, self._reads = store, reads

    async def read_long(self, unit: Callable[[Connection], Any]) -> Any:
        found = await self._store.read(unit)
        self._reads -= 1
        if not self._reads:
            assert await self._store.write(partial(audit.forget_before, moment=100, now=50, limit=7))
            await self._store.write(audit.seal)
        return found


async def test_a_peer_may_be_called_as_a_detail_is(store: Store) -> None:
    caller = Actor(audit.FORGOTTEN_TO, ActorKind.SCANNER, "192.0.2.7")
    await store.write(recorded(replace(happened(1, audit.FORGOTTEN_TO), actor=caller)))
    assert (await verify(store)).fault is None  # on PostgreSQL it waits
    await store.write(audit.seal)
    assert (await verify(store)).fault is None


async def test_a_noted_head_that_was_removed_proves_nothing(store: Store) -> None:
    await chain(store)
    noted = Link(4, bytes(32))
    await store.write(partial(audit.forget_before, moment=9, now=50, limit=4))
    fault = (await verify(store, head=noted)).fault
    assert fault is not None
    await store.write(partial(audit.forget_before, moment=9, now=50, limit=4))
    with pytest.raises(InvalidValue, match="give a newer head"):
        await verify(store, head=noted)
