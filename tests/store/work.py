"""Rows of the outbox as the tests make them and look at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import Lane, Work, WorkKind, delivery_to
from gateway.store import Store, outbox, outbox_claims
from gateway.store.schema import outbox as table

SECOND = 1_000_000
LEASE = 60 * SECOND
KIND = delivery_to("test")


def adding(
    lane: str = "a", *, due_at: int, now: int, kind: WorkKind = KIND, supersede: bool = False, **payload: Any
) -> Callable[[Connection], WorkRow]:
    """A unit that adds work to `lane`; `lane` is the subject of the lane."""
    return lambda connection: outbox.enqueue(
        connection,
        lane=Lane(kind, StudyInstanceUID(lane)),
        payload=payload,
        due_at=due_at,
        now=now,
        supersede=supersede,
    )


def claiming(
    now: int, *, kind: WorkKind = KIND, limit: int = 10, lease: int = LEASE
) -> Callable[[Connection], list[Work]]:
    return lambda connection: outbox_claims.claim(connection, kind=kind, now=now, lease_micros=lease, limit=limit)


async def claim_one(store: Store, now: int, *, lease: int = LEASE) -> Work:
    (work,) = await store.write(claiming(now, lease=lease))
    return work


async def row(store: Store, work: int) -> dict[str, Any]:
    wanted = select(table).where(table.c.id == work)
    return await store.read(lambda connection: dict(connection.execute(wanted).mappings().one()))


async def state(store: Store, work: int) -> str:
    return str((await row(store, work))["state"])
