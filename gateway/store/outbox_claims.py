"""Claiming work that is due, and closing it: done, retried, parked, rejected, handed back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    bindparam,
    exists,
    or_,
    select,
    update,
)

from gateway.errors import Fate
from gateway.records.cause import cause_of
from gateway.records.row_ids import WorkRow
from gateway.records.work import ACTIVE, TRANSITIONS, Lane, Work, WorkEvent, WorkKind, WorkState
from gateway.store import heartbeats, work_tries
from gateway.store.among import Among
from gateway.store.schema import outbox, pauses, word
from gateway.store.set_statement import SetStatement
from gateway.store.statement import Statement
from gateway.store.writer import announce

_AFTER_FATE: Final = {fate: TRANSITIONS[(WorkState.LEASED, WorkEvent(fate.value))] for fate in Fate}

ACTIVE_STATES: Final = tuple(state.value for state in ACTIVE)


@dataclass(frozen=True, slots=True)
class Together:
    """What is written by the same statements for all work that is closed in one transaction."""

    write: Callable[[Connection, Sequence[Any]], None]
    """Of all work with an equal function, called once with all values."""
    value: Any


@dataclass(frozen=True, slots=True)
class Done:
    """What a station says of work that succeeded."""

    outcome: dict[str, Any] = field(default_factory=dict)
    also: Callable[[Connection], None] | None = None
    """Written in the transaction that closes the work; not at all when the lease was lost."""
    together: Together | None = None
    """The same, before `also`."""
    until: int | None = None
    """The work is not done, and nothing failed: it waits in its place until this steady time. None: it is done."""


def is_active(rows: FromClause) -> ColumnElement[bool]:
    """The condition of the partial indexes, in their own words: a database does not compare it with a parameter."""
    return rows.c.state.in_([word(state) for state in ACTIVE])


OVERTAKEN = SetStatement(
    update(outbox)
    .where(
        outbox.c.subject == bindparam("the_subject"),
        outbox.c.lane == bindparam("the_lane"),
        outbox.c.id < bindparam("before"),
        outbox.c.state == WorkState.PARKED.value,
    )
    .values(state=TRANSITIONS[(WorkState.PARKED, WorkEvent.SUPERSEDE)].value)
)

_earlier, _later = outbox.alias("earlier"), outbox.alias("later")

is_head = ~exists().where(_earlier.c.lane == outbox.c.lane, _earlier.c.id < outbox.c.id, is_active(_earlier))

is_not_paused: Final = ~exists().where(pauses.c.receiver == bindparam("the_target"))
"""Asked once for a statement, whatever its rows: it refers to none of them."""

claimable = and_(
    outbox.c.kind == bindparam("the_kind"),
    is_not_paused,
    is_active(outbox),
    # True of leased rows too, they were due when they were claimed; stated for both so that the index serves.
    outbox.c.due_at <= bindparam("now"),
    or_(outbox.c.state == WorkState.PENDING.value, outbox.c.lease_until <= bindparam("now")),
    # A row whose earlier sibling's lease has ended is no head: the sibling is, and goes again first.
    is_head,
    # Replayed work stands before later work of its lane; what is under way there is let finish. What waits has no
    # lease: the state is not asked for by itself, so that a planner looks into the lane, not at all that is leased.
    ~exists().where(
        _later.c.lane == outbox.c.lane, _later.c.id > outbox.c.id, is_active(_later),
        _later.c.lease_until > bindparam("now"),
    ),
)  # fmt: skip

# The heads go through a materialised CTE: as a plain subquery PostgreSQL may run it again while updating and take
# more rows than the limit.
_HEADS = (
    select(outbox.c.id)
    .where(claimable)
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(bindparam("the_limit"))
    .with_for_update(skip_locked=True)
    .cte("heads")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)

CLAIM = (
    update(outbox)
    .where(outbox.c.id.in_(select(_HEADS.c.id)))
    .values(
        state=WorkState.LEASED.value, lease=bindparam("the_lease"), lease_until=bindparam("until"),
        attempts=outbox.c.attempts + 1,
    )
    .returning(
        outbox.c.id, outbox.c.lane, outbox.c.payload, (outbox.c.attempts - 1).label("attempts"), outbox.c.lease,
        outbox.c.created_at,
    )
)  # fmt: skip
_CLAIM: Final = Statement(CLAIM)


ReadAhead = Callable[[Connection, Sequence[Work]], Sequence[Any]]
"""Reads what a station needs of each of the works, by one statement for all."""


def claim(
    connection: Connection, *, kind: WorkKind, now: int, lease_micros: int, limit: int, holder: str = "",
    ahead: ReadAhead | None = None,
) -> list[Work]:  # fmt: skip
    """Take up to `limit` due heads of lanes of `kind` until `now + lease_micros`; `now` is of the steady clock. Each
    gets what `ahead` reads.

    Nothing of a receiver that is paused. `holder`: with it the names of the leases begin, see `release_of`.
    """
    values = {
        **of(kind), "now": now, "the_limit": limit, "the_lease": holder + uuid.uuid4().hex, "until": now + lease_micros,
    }  # fmt: skip
    rows = sorted(_CLAIM.rows(connection, values), key=itemgetter("id"))
    works = [
        Work(WorkRow(row["id"]), Lane.of(row["lane"]), row["payload"], row["attempts"], row["lease"], row["created_at"])
        for row in rows
    ]
    if ahead is None or not works:
        return works
    return [replace(work, ahead=read) for work, read in zip(works, ahead(connection, works), strict=True)]


def of(kind: WorkKind) -> dict[str, str]:
    """The parameters by which statements find the work of `kind`."""
    return {"the_kind": str(kind), "the_target": kind.target}


_mine = and_(
    outbox.c.id == bindparam("the_id"),
    outbox.c.lease == bindparam("the_lease"),
    outbox.c.state == WorkState.LEASED.value,
)

_DONE = SetStatement(
    update(outbox)
    .where(_mine)
    .values(
        state=TRANSITIONS[(WorkState.LEASED, WorkEvent.SUCCEED)].value,
        finished_at=bindparam("finished_at"),
        outcome=bindparam("outcome", type_=outbox.c.outcome.type),
    )
)


_WAIT = SetStatement(
    update(outbox)
    .where(_mine)
    .values(
        state=TRANSITIONS[(WorkState.LEASED, WorkEvent.WAIT)].value, due_at=bindparam("the_due"), lease="",
        lease_until=0, attempts=outbox.c.attempts - 1,
    )
)  # fmt: skip


def succeed(connection: Connection, work: Work, *, now: int, outcome: dict[str, Any]) -> bool:
    """Close `work`. False, and nothing changed, when its lease was lost to another worker."""
    return close_all(connection, [(work, Done(outcome))], now=now)


def close_all(connection: Connection, closed: Sequence[tuple[Work, Done]], *, now: int) -> bool:
    """Close work and write what belongs to it. False when the lease of any was lost to another worker: the transaction
    must then be taken back. Who closes work looks for what waited behind it in its lane: nobody else is woken."""
    if not _leave(connection, closed, now):
        return False
    # What was parked before it has been overtaken: nobody need look at it any more.
    OVERTAKEN.run_all(connection, [
        {"the_subject": work.subject, "the_lane": str(work.lane), "before": work.id}
        for work, done in closed
        if work.kind.overtakes and done.until is None
    ])  # fmt: skip
    values: dict[Callable[[Connection, Sequence[Any]], None], list[Any]] = {}
    for _, done in closed:
        if done.together is not None:
            values.setdefault(done.together.write, []).append(done.together.value)
    for write, written in values.items():
        write(connection, written)
    for _, done in closed:
        if done.also is not None:
            done.also(connection)
    return True


def _leave(connection: Connection, closed: Sequence[tuple[Work, Done]], now: int) -> bool:
    """Let rows be done, or wait on. False when the lease of any was lost."""
    rows = [
        {"the_id": work.id, "the_lease": work.lease, "finished_at": now, "outcome": done.outcome, "the_due": done.until}
        for work, done in closed
    ]
    ended, waiting = [[one for one in rows if (one["the_due"] is None) is is_done] for is_done in (True, False)]
    return _DONE.run_all(connection, ended) + _WAIT.run_all(connection, waiting) == len(closed)


def fail(
    connection: Connection,
    work: Work,
    fate: Fate,
    *,
    now: int,
    due_at: int,
    outcome: dict[str, Any],
    payload: Mapping[str, object] | None = None,
) -> bool:
    """Close a try that failed by its fate; `due_at`, by the clock that shows `now`, counts for `Fate.RETRY`. `payload`:
    what the work has from now on; None: as before. False when the lease was lost."""
    due_at = heartbeats.steady_of(connection, due_at, now=now)
    state, cause = _AFTER_FATE[fate], cause_of(work.kind, outcome)
    failed = update(outbox).where(_mine).values(
        state=state.value, due_at=due_at, lease="", lease_until=0, outcome=outcome,
        finished_at=None if state is WorkState.PENDING else now, cause=cause.key, cause_text=cause.text,
    )  # fmt: skip
    if payload is not None and payload != work.payload:
        failed = failed.values(payload=payload)
    changed = connection.execute(failed, {"the_id": work.id, "the_lease": work.lease}).rowcount
    if changed:
        work_tries.add(connection, work.id, attempt=work.attempts + 1, failed_at=now, fate=fate, outcome=outcome)
    announce(connection, work.kind)
    return bool(changed)


def keep_payload(connection: Connection, work: Work, payload: dict[str, Any]) -> bool:
    """Give work that is under way another payload. False when its lease was lost."""
    kept = update(outbox).where(_mine).values(payload=payload)
    return bool(connection.execute(kept, {"the_id": work.id, "the_lease": work.lease}).rowcount)


def renew(connection: Connection, work: Work, *, until: int) -> bool:
    """Keep the lease of `work` until `until`. False when it was lost."""
    renewed = update(outbox).where(_mine).values(lease_until=until)
    return bool(connection.execute(renewed, {"the_id": work.id, "the_lease": work.lease}).rowcount)


_LEASE_ENDS: Final = Statement(
    select(outbox.c.id, outbox.c.lease, outbox.c.lease_until, outbox.c.state).where(Among(outbox.c.id, "ids"))
)


def lease_ends(connection: Connection, leases: Sequence[tuple[WorkRow, str]]) -> dict[tuple[WorkRow, str], int]:
    """When leases end, each given by the row of its work and its own name; without those that were lost."""
    rows = _LEASE_ENDS.rows(connection, {"ids": [row for row, _ in leases]})
    ends = {(WorkRow(row["id"]), row["lease"]): row["lease_until"] for row in rows if row["state"] == WorkState.LEASED}
    return {lease: ends[lease] for lease in leases if lease in ends}


_RELEASE = update(outbox).values(
    state=TRANSITIONS[(WorkState.LEASED, WorkEvent.LEASE_ENDS)].value, lease="", lease_until=0
)


def release(connection: Connection, works: Sequence[Work]) -> None:
    """End the leases of `works` early, so that another worker takes them up at once; one that was lost stays lost."""
    for work in works:
        connection.execute(_RELEASE.where(_mine), {"the_id": work.id, "the_lease": work.lease})
    announce(connection, *{work.kind for work in works})


def release_of(connection: Connection, holder: str) -> int:
    """End every lease of a process that has died."""
    held = and_(is_active(outbox), outbox.c.state == WorkState.LEASED.value, outbox.c.lease.startswith(holder))
    return connection.execute(_RELEASE.where(held)).rowcount


def release_all(connection: Connection) -> int:
    """End every lease. Only for a database that no other process works on, right after a start."""
    return connection.execute(_RELEASE.where(outbox.c.state == WorkState.LEASED.value)).rowcount
