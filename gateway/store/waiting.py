"""What waits for each kind of work, for those who watch over receivers: by the indexes, counted up to a bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, func, select

from gateway.records.work import STUCK, WorkKind, WorkState
from gateway.store import heartbeats
from gateway.store.outbox_claims import is_active
from gateway.store.schema import outbox

MOST_COUNTED: Final = 1_000


class Waiting(NamedTuple):
    """Of one kind of work."""

    number: int = 0
    """At most `MOST_COUNTED`."""
    oldest_at: int | None = None
    """When the oldest was added."""
    next_at: int | None = None
    """When the next falls due, by the wall clock."""
    retried_since: int | None = None
    """When the oldest was added that failed at least once; of those that were counted."""
    cause: str = ""
    """Of the last failure of one of those."""


def waiting(connection: Connection, kind: WorkKind) -> Waiting:
    """What of `kind` is not done: due, waiting for another try, or under way."""
    rows = connection.execute(
        select(outbox.c.created_at, outbox.c.due_at, outbox.c.state, outbox.c.attempts, outbox.c.cause_text)
        .where(outbox.c.kind == str(kind), is_active(outbox))
        .order_by(outbox.c.due_at)
        .limit(MOST_COUNTED)
    ).all()
    if not rows:
        return Waiting()
    failed = [row for row in rows if row.attempts and row.cause_text and row.state == WorkState.PENDING]
    pending = [row for row in rows if row.state == WorkState.PENDING]
    first: int | None = connection.execute(_of(kind, WorkState.PENDING).limit(1)).scalar()
    moments = [row.created_at for row in rows] if first is None else [first, *(row.created_at for row in rows)]
    return Waiting(
        number=len(rows),
        oldest_at=min(moments),
        next_at=heartbeats.shown(connection, pending[0].due_at) if pending else None,
        retried_since=min((row.created_at for row in failed), default=None),
        cause=failed[-1].cause_text if failed else "",
    )


def _of(kind: WorkKind, state: WorkState) -> Select[tuple[Any]]:
    """When the rows of a kind in a state were added, the oldest first."""
    wanted = select(outbox.c.created_at).where(outbox.c.kind == str(kind), outbox.c.state == state.value)
    return wanted.order_by(outbox.c.id)


class Stuck(NamedTuple):
    number: int
    cause: str
    """Of the newest."""


def stuck(connection: Connection, *, most: int = MOST_COUNTED) -> dict[str, Stuck]:
    """Kind of work -> what of it is parked or rejected, of the newest `most` of all."""
    newest = (
        select(outbox.c.id, outbox.c.kind)
        .where(outbox.c.state.in_(STUCK))
        .order_by(outbox.c.id.desc())
        .limit(most)
        .subquery()
    )
    groups = select(newest.c.kind, func.count().label("rows"), func.max(newest.c.id).label("last"))
    last = groups.group_by(newest.c.kind).subquery()
    wanted = select(last.c.kind, last.c.rows, outbox.c.cause_text).join(outbox, outbox.c.id == last.c.last)
    return {kind: Stuck(count, cause) for kind, count, cause in connection.execute(wanted)}


def total(parts: Iterable[Waiting]) -> Waiting:
    """The same of several kinds together."""
    rows = [one for one in parts if one.number]
    return Waiting(
        number=sum(one.number for one in rows),
        oldest_at=min((one.oldest_at for one in rows if one.oldest_at), default=None),
        next_at=min((one.next_at for one in rows if one.next_at), default=None),
        retried_since=min((one.retried_since for one in rows if one.retried_since), default=None),
        cause=next((one.cause for one in rows if one.cause), ""),
    )
