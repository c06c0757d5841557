"""What waits for each kind of work, for those who watch over receivers: by the indexes, counted up to a bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, literal, select, union_all

from gateway.records.work import STUCK, WorkKind, WorkState
from gateway.store import heartbeats
from gateway.store.outbox_claims import is_active
from gateway.store.schema import outbox, work_tries
from gateway.store.work_tries import KEPT

MOST_COUNTED: Final = 1_000
LOOKED_AT: Final = 50
"""Rows, those that fall due first, whose failures are looked at."""


class Waiting(NamedTuple):
    """Of one kind of work."""

    number: int = 0
    """At most `MOST_COUNTED`."""
    oldest_at: int | None = None
    """When the oldest was added."""
    next_at: int | None = None
    """When the next falls due, by the wall clock."""
    retried_since: int | None = None
    """When something of it failed first; of those that fall due first, and of one with more tries than are kept, when
    it was added."""
    cause: str = ""
    """Of the last failure of one of those."""


def waiting(connection: Connection, kinds: Sequence[WorkKind]) -> dict[WorkKind, Waiting]:
    """What of these kinds is not done: due, waiting for another try, or under way. Kinds without are left out."""
    if not kinds:
        return {}
    numbers = [_number(str(kind)) for kind in kinds]
    rows = connection.execute(union_all(*numbers))
    return {kind: _of(connection, kind, number) for text, number in rows if number and (kind := WorkKind.of(text))}


def _number(kind: str) -> Select[str, int]:
    """How many rows of a kind wait: of the index alone."""
    first = select(outbox.c.due_at).where(outbox.c.kind == kind, is_active(outbox)).order_by(outbox.c.due_at)
    return select(literal(kind), func.count()).select_from(first.limit(MOST_COUNTED).subquery())


def _of(connection: Connection, kind: WorkKind, number: int) -> Waiting:
    values = {"the_kind": str(kind)}
    rows = connection.execute(_NEXT, values).all()
    failed = [row for row in rows if row.attempts and row.cause_text and row.state == WorkState.PENDING]
    pending = [row.due_at for row in rows if row.state == WorkState.PENDING]
    oldest = connection.execute(_OLDEST, values).scalar()
    return Waiting(
        number=number,
        oldest_at=min([row.created_at for row in rows] + ([] if oldest is None else [oldest]), default=None),
        next_at=heartbeats.shown(connection, pending[0]) if pending else None,
        retried_since=_first_failure(connection, failed),
        cause=failed[-1].cause_text if failed else "",
    )


def _first_failure(connection: Connection, failed: Sequence[Any]) -> int | None:
    """Work may have waited for hours of the day before its first try: that is no failure."""
    if not failed:
        return None
    tries = connection.execute(_FIRST_TRIES, {"rows": [row.id for row in failed]})
    first: dict[int, int] = {row.work: row.failed_at for row in tries}
    moments: list[int] = [
        row.created_at if row.attempts > KEPT else first.get(row.id, row.created_at) for row in failed
    ]
    return min(moments)


_FIRST_TRIES: Final = (
    select(work_tries.c.work, func.min(work_tries.c.failed_at).label("failed_at"))
    .where(work_tries.c.work.in_(bindparam("rows", expanding=True)))
    .group_by(work_tries.c.work)
)
_ACTIVE: Final = (outbox.c.kind == bindparam("the_kind"), is_active(outbox))
_NEXT: Final = (
    select(outbox.c.id, outbox.c.created_at, outbox.c.due_at, outbox.c.state, outbox.c.attempts, outbox.c.cause_text)
    .where(*_ACTIVE)
    .order_by(outbox.c.due_at)
    .limit(LOOKED_AT)
)
_OLDEST: Final = (
    select(outbox.c.created_at)
    .where(outbox.c.kind == bindparam("the_kind"), outbox.c.state == WorkState.PENDING.value)
    .order_by(outbox.c.id)
    .limit(1)
)


class Stuck(NamedTuple):
    number: int
    cause: str
    """Of the newest."""


def stuck(connection: Connection) -> dict[str, Stuck]:
    """Kind of work -> what of it is parked or rejected, of the newest `MOST_COUNTED` of each of these states."""
    numbers: Counter[str] = Counter()
    newest: dict[str, int] = {}
    for state in STUCK:
        for kind, number, last in connection.execute(_STUCK, {"the_state": state.value}):
            numbers[kind] += number
            newest[kind] = max(last, newest.get(kind, 0))
    if not newest:
        return {}
    causes = {row[0]: row[1] for row in connection.execute(_CAUSES, {"ids": list(newest.values())})}
    return {kind: Stuck(number, causes.get(newest[kind], "")) for kind, number in numbers.items()}


_NEWEST_STUCK: Final = (
    select(outbox.c.id, outbox.c.kind)
    .where(outbox.c.state == bindparam("the_state"))
    .order_by(outbox.c.id.desc())
    .limit(MOST_COUNTED)
    .subquery()
)
_STUCK: Final = select(_NEWEST_STUCK.c.kind, func.count(), func.max(_NEWEST_STUCK.c.id)).group_by(_NEWEST_STUCK.c.kind)
_CAUSES: Final = select(outbox.c.id, outbox.c.cause_text).where(outbox.c.id.in_(bindparam("ids", expanding=True)))


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
