"""How much work of a kind waits, since when, and what of it needs a person: each number by an index, and bounded."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from gateway.records.work import WorkKind, WorkState
from gateway.store import heartbeats
from gateway.store.outbox_claims import is_active
from gateway.store.schema import outbox

MOST_COUNTED: Final = 1_000
"""Of more rows than these a count says no more."""

_OF = (outbox.c.kind == bindparam("the_kind"), outbox.c.state == bindparam("the_state"))
COUNT: Final = select(func.count()).select_from(select(outbox.c.id).where(*_OF).limit(MOST_COUNTED).subquery())
OLDEST: Final = select(outbox.c.created_at).where(*_OF).order_by(outbox.c.id).limit(1)
NEWEST: Final = select(outbox.c.finished_at).where(*_OF).order_by(outbox.c.id.desc()).limit(1)
DUE: Final = (
    select(outbox.c.due_at)
    .where(outbox.c.kind == bindparam("the_kind"), is_active(outbox), outbox.c.state == WorkState.PENDING.value)
    .order_by(outbox.c.due_at)
    .limit(1)
)


def count(connection: Connection, kind: WorkKind, state: WorkState) -> int:
    """Rows of a kind in a state, `MOST_COUNTED` at most."""
    return int(connection.execute(COUNT, _values(kind, state)).scalar_one())


def oldest(connection: Connection, kind: WorkKind, state: WorkState) -> int | None:
    """When the oldest row of a kind in a state was added, microseconds; None: there is none."""
    return connection.execute(OLDEST, _values(kind, state)).scalar()


def last_end(connection: Connection, kind: WorkKind, state: WorkState) -> int | None:
    """When the newest row of a kind in a state ended, microseconds; None: there is none, or it has not ended."""
    return connection.execute(NEWEST, _values(kind, state)).scalar()


def next_due(connection: Connection, kind: WorkKind) -> int | None:
    """When the first waiting row of a kind falls due, by the wall clock; None: nothing waits."""
    due = connection.execute(DUE, {"the_kind": str(kind)}).scalar()
    return None if due is None else heartbeats.shown(connection, due)


def _values(kind: WorkKind, state: WorkState) -> dict[str, str]:
    return {"the_kind": str(kind), "the_state": state.value}
