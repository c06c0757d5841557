"""Looking whether work can be claimed now, and when it can be next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, literal_column, select, union_all

from gateway.records.work import ACTIVE, WorkKind, WorkState
from gateway.store.outbox_claims import claimable, is_active, is_head, is_not_paused, of
from gateway.store.schema import outbox, word
from gateway.store.statement import Statement

# The first of each state: where much waits, a planner that needs any row looks for it among all that is done
# (PostgreSQL), or sorts all that waits (SQLite).
ANY_ACTIVE = union_all(
    *(select(func.min(outbox.c.id).label("first")).where(outbox.c.state == word(one)) for one in ACTIVE)
)

HAS_DUE = select(outbox.c.id).where(claimable).order_by(outbox.c.due_at).limit(1)

# What waits has no lease. Its state by itself would lead a planner to all kinds that wait, which are then sorted.
NEXT_DUE = (
    select(outbox.c.due_at)
    .where(
        outbox.c.kind == bindparam("the_kind"), is_not_paused, is_active(outbox),
        outbox.c.lease_until == literal_column("0"), is_head,
    )
    .order_by(outbox.c.due_at)
    .limit(1)
)  # fmt: skip

NEXT_LEASE_END = select(func.min(outbox.c.lease_until)).where(
    outbox.c.kind == bindparam("the_kind"), is_not_paused, outbox.c.state == WorkState.LEASED.value
)

_ANY_ACTIVE = Statement(ANY_ACTIVE)
_HAS_DUE, _NEXT_DUE, _NEXT_LEASE_END = Statement(HAS_DUE), Statement(NEXT_DUE), Statement(NEXT_LEASE_END)

Question = tuple[WorkKind, int]
"""A kind of work, and the steady time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the outbox has of one kind of work."""

    has_due: bool
    """Whether `claim` would find anything."""
    next_due: int | None = None
    """Where nothing is due: as `next_due` says."""


def looks(connection: Connection, questions: Iterable[Question]) -> dict[Question, Look]:
    """What the outbox has of each kind at its time."""
    if not any(row["first"] for row in _ANY_ACTIVE.rows(connection, {})):
        return dict.fromkeys(questions, Look(has_due=False))
    return {(kind, now): _look(connection, kind, now) for kind, now in questions}


def _look(connection: Connection, kind: WorkKind, now: int) -> Look:
    return Look(True) if has_due(connection, kind, now) else Look(False, next_due(connection, kind))


def has_due(connection: Connection, kind: WorkKind, now: int) -> bool:
    """Whether `claim` would find anything."""
    return bool(_HAS_DUE.rows(connection, {**of(kind), "now": now}))


def next_due(connection: Connection, kind: WorkKind) -> int | None:
    """When the next head of a lane of `kind` falls due or its lease ends; None when nothing waits, and while the
    receiver is paused."""
    rows = [row for wanted in (_NEXT_DUE, _NEXT_LEASE_END) for row in wanted.rows(connection, of(kind))]
    return min((at for row in rows for at in row.values() if at is not None), default=None)
