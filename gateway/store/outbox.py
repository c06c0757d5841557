"""The outbox: work that waits, in lanes.

A row belongs to a lane, a lane to one subject. Within a lane rows are worked off one at a time, in the order of their
ids; a later row waits while an earlier one is pending or leased. Lanes never wait for one another. Retries are columns
(`attempts`, `due_at`), not sleeping tasks, so a restart forgets nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from gateway.errors import Conflict, Fate, UnknownKey
from gateway.records.cause import Cause, cause_of
from gateway.records.delivery import ACTIVE, SETTLE, TRANSITIONS, Work, WorkEvent, WorkState
from gateway.store.engine import lock
from gateway.store.schema import outbox
from gateway.store.writer import announce

_ACTIVE: Final = tuple(state.value for state in ACTIVE)
_AFTER_FATE: Final = {fate: TRANSITIONS[(WorkState.LEASED, WorkEvent(fate.value))] for fate in Fate}


@dataclass(frozen=True, slots=True)
class Done:
    """What a station says of work that succeeded."""

    outcome: dict[str, Any] = field(default_factory=dict)
    also: Callable[[Connection], None] | None = None
    """Written in the transaction that closes the work; not at all when the lease was lost."""


def enqueue(
    connection: Connection,
    *,
    kind: str,
    lane: str,
    subject: str,
    payload: dict[str, Any],
    due_at: int,
    now: int,
    supersede: bool = False,
) -> int:
    """Add work to the end of `lane` and return its id.

    `supersede`: rows of the lane that wait or are parked step back for this one, because it says all they said and
    more. A row under way is left alone; this one follows it. A waiting row that was tried before may have reached its
    receiver: this one is then no first try either, and waits as long as that one would have.
    """
    lock(connection, lane)
    attempts = 0
    if supersede:
        replaced = connection.execute(_SUPERSEDE, {"the_subject": subject, "the_lane": lane, "now": now}).all()
        tried = [one for one in replaced if one.attempts and one.finished_at == now]
        attempts = max((one.attempts for one in tried), default=0)
        due_at = max([due_at, *(one.due_at for one in tried)])
    row = {
        "kind": kind, "lane": lane, "subject": subject, "payload": payload, "state": WorkState.PENDING.value,
        "due_at": due_at, "attempts": attempts, "lease": "", "lease_until": 0, "created_at": now,
    }  # fmt: skip
    key = connection.execute(insert(outbox), row).inserted_primary_key
    assert key is not None
    announce(connection)
    return int(key[0])


def postpone(connection: Connection, *, kind: str, lane: str, subject: str, due_at: int, now: int) -> None:
    """Let the one waiting row of `lane` fall due at `due_at`; add the row if none waits.

    What was parked in the lane steps back for the new row, which looks at the same thing again.
    """
    lock(connection, lane)
    if not connection.execute(_POSTPONE, {"the_lane": lane, "the_due": due_at}).rowcount:
        enqueue(connection, kind=kind, lane=lane, subject=subject, payload={}, due_at=due_at, now=now, supersede=True)


def settle_at(connection: Connection, study_uid: str, *, due_at: int, now: int) -> None:
    """Let the study be looked at when it has been quiet until `due_at`."""
    postpone(connection, kind=SETTLE, lane=f"{SETTLE}|{study_uid}", subject=study_uid, due_at=due_at, now=now)


def settle_soon(connection: Connection, study_uid: str, *, now: int) -> None:
    """Let the study be looked at now, unless it is still arriving and will be looked at anyway."""
    lane = f"{SETTLE}|{study_uid}"
    lock(connection, lane)
    if connection.execute(_WAITING, {"the_lane": lane}).first() is None:
        settle_at(connection, study_uid, due_at=now, now=now)


def latest(connection: Connection, lane: str) -> dict[str, Any] | None:
    """State and payload of the newest row of `lane`, None when it has none."""
    row = connection.execute(_LATEST, {"the_subject": lane.rsplit("|", 1)[-1], "the_lane": lane}).mappings().first()
    return dict(row) if row else None


def deliver(connection: Connection, *, kind: str, lane: str, subject: str, payload: dict[str, Any], now: int) -> None:
    """Add a delivery in place of those that wait in `lane`, unless the last one there has the same `digest`."""
    last = latest(connection, lane)
    if last and last["payload"].get("digest") == payload["digest"] and last["state"] != WorkState.SUPERSEDED:
        return
    enqueue(
        connection, kind=kind, lane=lane, subject=subject, payload=payload, due_at=now, now=now, supersede=True
    )  # fmt: skip


_LATEST = (
    select(outbox.c.id, outbox.c.state, outbox.c.payload)
    .where(outbox.c.subject == bindparam("the_subject"), outbox.c.lane == bindparam("the_lane"))
    .order_by(outbox.c.id.desc())
    .limit(1)
)

_SUPERSEDE = (
    update(outbox)
    .where(
        outbox.c.subject == bindparam("the_subject"),
        outbox.c.lane == bindparam("the_lane"),
        outbox.c.state.in_([s.value for (s, e) in TRANSITIONS if e is WorkEvent.SUPERSEDE]),
    )
    # What was parked has its end already: that tells it, which nobody is at, from what waited for another try.
    .values(state=WorkState.SUPERSEDED.value, finished_at=func.coalesce(outbox.c.finished_at, bindparam("now")))
    .returning(outbox.c.attempts, outbox.c.due_at, outbox.c.finished_at)
)
_OVERTAKEN = (
    update(outbox)
    .where(
        outbox.c.subject == bindparam("the_subject"),
        outbox.c.lane == bindparam("the_lane"),
        outbox.c.id < bindparam("before"),
        outbox.c.state == WorkState.PARKED.value,
    )
    .values(state=TRANSITIONS[(WorkState.PARKED, WorkEvent.SUPERSEDE)].value)
)


def _active(rows: FromClause) -> ColumnElement[bool]:
    """The condition of the partial indexes, in their own words: a database does not compare it with a parameter."""
    return rows.c.state.in_([literal_column(f"'{state}'") for state in ACTIVE])


_POSTPONE = (
    update(outbox)
    .where(outbox.c.lane == bindparam("the_lane"), _active(outbox), outbox.c.state == WorkState.PENDING.value)
    .values(due_at=bindparam("the_due"))
)

_WAITING = (
    select(outbox.c.id)
    .where(outbox.c.lane == bindparam("the_lane"), _active(outbox), outbox.c.state == WorkState.PENDING.value)
    # Held, or a worker could claim the row and read the study before what it is waited for has been committed.
    .with_for_update()
)

_earlier, _later = outbox.alias("earlier"), outbox.alias("later")
_is_head = ~exists().where(_earlier.c.lane == outbox.c.lane, _earlier.c.id < outbox.c.id, _active(_earlier))
_claimable = and_(
    outbox.c.kind == bindparam("the_kind"),
    _active(outbox),
    # True of leased rows too, they were due when they were claimed; said of both so that the index serves.
    outbox.c.due_at <= bindparam("now"),
    or_(outbox.c.state == WorkState.PENDING.value, outbox.c.lease_until <= bindparam("now")),
    # A row whose earlier sibling's lease has ended is no head: the sibling is, and goes again first.
    _is_head,
    # Replayed work stands before later work of its lane; what is under way there is let finish.
    ~exists().where(
        _later.c.lane == outbox.c.lane, _later.c.id > outbox.c.id, _active(_later),
        _later.c.state == WorkState.LEASED.value, _later.c.lease_until > bindparam("now"),
    ),
)  # fmt: skip
# The heads go through a materialised CTE: as a plain subquery PostgreSQL may run it again while updating and take
# more rows than the limit.
_HEADS = (
    select(outbox.c.id)
    .where(_claimable)
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(bindparam("the_limit"))
    .with_for_update(skip_locked=True)
    .cte("heads")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_CLAIM = (
    update(outbox)
    .where(outbox.c.id.in_(select(_HEADS.c.id)))
    .values(
        state=WorkState.LEASED.value, lease=bindparam("the_lease"), lease_until=bindparam("until"),
        attempts=outbox.c.attempts + 1,
    )
    .returning(
        outbox.c.id, outbox.c.kind, outbox.c.lane, outbox.c.subject, outbox.c.payload, outbox.c.attempts - 1,
        outbox.c.lease, outbox.c.created_at,
    )
)  # fmt: skip


def claim(connection: Connection, *, kind: str, now: int, lease_micros: int, limit: int) -> list[Work]:
    """Take up to `limit` due heads of lanes of `kind` until `now + lease_micros`."""
    values = {
        "the_kind": kind, "now": now, "the_limit": limit, "the_lease": uuid.uuid4().hex, "until": now + lease_micros,
    }  # fmt: skip
    rows = connection.execute(_CLAIM, values).all()
    return [Work(*row) for row in sorted(rows)]


_NEXT_DUE = (
    select(outbox.c.due_at)
    .where(
        outbox.c.kind == bindparam("the_kind"), _active(outbox), outbox.c.state == WorkState.PENDING.value, _is_head
    )
    .order_by(outbox.c.due_at)
    .limit(1)
)  # fmt: skip
_NEXT_LEASE_END = select(func.min(outbox.c.lease_until)).where(
    outbox.c.kind == bindparam("the_kind"), outbox.c.state == WorkState.LEASED.value
)


def next_due(connection: Connection, kind: str) -> int | None:
    """When the next head of a lane of `kind` falls due or its lease ends; None when nothing waits."""
    times = [connection.execute(wanted, {"the_kind": kind}).scalar() for wanted in (_NEXT_DUE, _NEXT_LEASE_END)]
    return min((at for at in times if at is not None), default=None)


def has_due(connection: Connection, kind: str, now: int) -> bool:
    """Whether `claim` would find anything."""
    return connection.execute(_HAS_DUE, {"the_kind": kind, "now": now}).first() is not None


_HAS_DUE = select(outbox.c.id).where(_claimable).limit(1)

_mine = and_(
    outbox.c.id == bindparam("the_id"),
    outbox.c.lease == bindparam("the_lease"),
    outbox.c.state == WorkState.LEASED.value,
)


def succeed(connection: Connection, work: Work, *, now: int, outcome: dict[str, Any]) -> bool:
    """Close `work`. False, and nothing changed, when its lease was lost to another worker."""
    done = update(outbox).where(_mine).values(
        state=TRANSITIONS[(WorkState.LEASED, WorkEvent.SUCCEED)].value,
        finished_at=now, outcome=outcome,
    )  # fmt: skip
    changed = connection.execute(done, {"the_id": work.id, "the_lease": work.lease}).rowcount
    if changed:
        # What was parked before it has been overtaken: nobody need look at it any more.
        connection.execute(_OVERTAKEN, {"the_subject": work.subject, "the_lane": work.lane, "before": work.id})
    announce(connection)
    return bool(changed)


def fail(connection: Connection, work: Work, fate: Fate, *, now: int, due_at: int, outcome: dict[str, Any]) -> bool:
    """Settle a try that failed by its fate; `due_at` counts for `Fate.RETRY`. False when the lease was lost."""
    state = _AFTER_FATE[fate]
    failed = update(outbox).where(_mine).values(
        state=state.value, due_at=due_at, lease="", lease_until=0, outcome=outcome,
        finished_at=None if state is WorkState.PENDING else now,
    )  # fmt: skip
    changed = connection.execute(failed, {"the_id": work.id, "the_lease": work.lease}).rowcount
    announce(connection)
    return bool(changed)


def renew(connection: Connection, work: Work, *, until: int) -> bool:
    """Keep the lease of `work` until `until`. False when it was lost."""
    renewed = update(outbox).where(_mine).values(lease_until=until)
    return bool(connection.execute(renewed, {"the_id": work.id, "the_lease": work.lease}).rowcount)


_RELEASE = update(outbox).values(
    state=TRANSITIONS[(WorkState.LEASED, WorkEvent.LEASE_ENDS)].value, lease="", lease_until=0
)


def release(connection: Connection, works: Sequence[Work]) -> None:
    """End the leases of `works` early, so that another worker takes them up at once; one that was lost stays lost."""
    for work in works:
        connection.execute(_RELEASE.where(_mine), {"the_id": work.id, "the_lease": work.lease})
    announce(connection)


def release_all(connection: Connection) -> int:
    """End every lease. Only for a database that no other process works on, right after a start."""
    return connection.execute(_RELEASE.where(outbox.c.state == WorkState.LEASED.value)).rowcount


def replay(connection: Connection, ids: Sequence[int], *, now: int) -> list[int]:
    """Make parked, rejected or waiting work due now; returns the ids.

    Raises `UnknownKey` for an id that does not exist; `Conflict` for work that is done, under way or superseded, and
    for work that later work of its lane has overtaken: what it says is older than what the receiver has by now.
    """
    wanted = (
        select(outbox.c.id, outbox.c.state, outbox.c.lane, outbox.c.subject)
        .where(outbox.c.id.in_(ids))
        .order_by(outbox.c.id)
        .with_for_update()
    )
    found = {row.id: row for row in connection.execute(wanted)}
    for one in ids:
        if one not in found:
            raise UnknownKey(f"there is no delivery {one}", place=f"delivery {one}")
        if (WorkState(found[one].state), WorkEvent.REPLAY) not in TRANSITIONS:
            raise Conflict(
                f"it is {found[one].state}; only parked, rejected or pending work can be sent again",
                place=f"delivery {one}",
            )
        overtaken = _overtaken_by(connection, one, found[one].lane, found[one].subject)
        if overtaken is not None:
            raise Conflict(
                f"delivery {overtaken} of the same lane was sent after it; sending this one now would put older "
                "contents in its place",
                place=f"delivery {one}",
            )
    again = (
        update(outbox).where(outbox.c.id.in_(ids)).values(state=WorkState.PENDING.value, due_at=now, finished_at=None)
    )
    connection.execute(again)
    announce(connection)
    return list(ids)


@dataclass(slots=True)
class Stuck:
    """Work that is parked or rejected for one cause."""

    cause: Cause
    ids: list[int]
    """Oldest first."""
    first_at: int
    last_at: int
    subject: str
    """Of the newest: an example."""
    outcome: dict[str, Any] | None
    """The same."""


def stuck(connection: Connection) -> list[Stuck]:
    """What is parked or rejected, by cause, the most frequent first."""
    states = (WorkState.PARKED.value, WorkState.REJECTED.value)
    wanted = (
        select(outbox.c.id, outbox.c.kind, outbox.c.subject, outbox.c.outcome, outbox.c.finished_at)
        .where(outbox.c.state.in_(states))
        .order_by(outbox.c.id)
    )
    found: dict[str, Stuck] = {}
    for row in connection.execute(wanted):
        cause, at = cause_of(row.kind, row.outcome), row.finished_at or 0
        group = found.setdefault(cause.key, Stuck(cause, [], at, at, row.subject, row.outcome))
        group.ids.append(row.id)
        group.last_at, group.subject, group.outcome = at, row.subject, row.outcome
    return sorted(found.values(), key=lambda one: (-len(one.ids), one.ids[0]))


def replay_cause(connection: Connection, key: str, *, now: int) -> tuple[list[int], list[str]]:
    """Make all work of a cause due now; returns the ids, and why the others are not. Raises `UnknownKey`."""
    group = next((one for one in stuck(connection) if one.cause.key == key), None)
    if group is None:
        raise UnknownKey("nothing is parked for this cause", place=f"cause {key}")
    done, left = [], []
    for one in group.ids:
        try:
            done += replay(connection, [one], now=now)
        except (Conflict, UnknownKey) as error:
            # Found out before anything was changed.
            left.append(str(error))
    return done, left


def _overtaken_by(connection: Connection, work: int, lane: str, subject: str) -> int | None:
    """The first later row of the lane that was sent or is under way. The others are held until the transaction ends,
    so that none is claimed meanwhile."""
    later = (
        select(outbox.c.id, outbox.c.state)
        .where(
            outbox.c.subject == subject, outbox.c.lane == lane, outbox.c.id > work,
            outbox.c.state.in_([WorkState.PENDING.value, WorkState.LEASED.value, WorkState.DONE.value]),
        )
        .order_by(outbox.c.id)
        .with_for_update()
    )  # fmt: skip
    sent = [row.id for row in connection.execute(later) if row.state != WorkState.PENDING]
    return sent[0] if sent else None


def listing(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    subject: str = "",
    limit: int = 100,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """Rows for people, newest first, without their payloads."""
    columns = [column for column in outbox.c if column.name not in ("payload", "lease")]
    wanted = select(*columns).order_by(outbox.c.id.desc()).limit(limit)
    if states:
        wanted = wanted.where(outbox.c.state.in_(states))
    if subject:
        wanted = wanted.where(outbox.c.subject == subject)
    if before is not None:
        wanted = wanted.where(outbox.c.id < before)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def counts(connection: Connection) -> list[tuple[str, str, int]]:
    """(kind, state, rows) of all work that is not done, for metrics and readiness."""
    wanted = (
        select(outbox.c.kind, outbox.c.state, func.count())
        .where(outbox.c.state.in_([*_ACTIVE, WorkState.PARKED.value]))
        .group_by(outbox.c.kind, outbox.c.state)
    )
    return [(kind, state, number) for kind, state, number in connection.execute(wanted)]


def retrying(connection: Connection, *, limit: int = 20) -> list[dict[str, Any]]:
    """Work that failed at least once and waits for its next try, the oldest first; without payloads."""
    columns = [column for column in outbox.c if column.name not in ("payload", "lease")]
    wanted = (
        select(*columns)
        .where(outbox.c.state == WorkState.PENDING.value, outbox.c.attempts > 0)
        .order_by(outbox.c.id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(wanted).mappings()]
