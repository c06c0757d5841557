"""What waits, what is parked and why, for people; and trying it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection, RowMapping, func, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.cause import Cause
from gateway.records.row_ids import WorkRow
from gateway.records.work import STUCK, TRANSITIONS, WorkEvent, WorkKind, WorkState
from gateway.store import heartbeats
from gateway.store.outbox import PAGE
from gateway.store.outbox_claims import is_active
from gateway.store.schema import outbox, word
from gateway.store.writer import announce

_INTERNAL: Final = ("payload", "lease", "cause", "cause_text", "waits_since")
LISTED: Final = tuple(column for column in outbox.c if column.name not in _INTERNAL)
"""Columns for people."""


def replay(connection: Connection, ids: Sequence[WorkRow], *, now: int) -> list[WorkRow]:
    """Make parked, rejected, given-up or waiting work due now; returns the ids.

    Raises `UnknownKey` for an id that does not exist; `Conflict` for work that is done, under way or superseded, and
    for work that later work of its lane has overtaken: what it says is older than what the receiver has by now.
    """
    wanted = (
        select(outbox.c.id, outbox.c.kind, outbox.c.state, outbox.c.lane, outbox.c.subject)
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
                f"it is {found[one].state}; only parked, rejected, given-up or pending work can be sent again",
                place=f"delivery {one}",
            )
        overtaken = _overtaken_by(connection, found[one])
        if overtaken is not None:
            raise Conflict(
                f"delivery {overtaken} of the same lane was sent after it; sending this one now would put older "
                "contents in its place",
                place=f"delivery {one}",
            )
    due_at = heartbeats.steady_of(connection, now, now=now)
    again = update(outbox).where(outbox.c.id.in_(ids))
    again = again.values(state=WorkState.PENDING.value, due_at=due_at, finished_at=None)
    connection.execute(again)
    announce(connection)
    return list(ids)


@dataclass(frozen=True, slots=True)
class Stuck:
    """Work that is parked or rejected for one cause."""

    cause: Cause
    count: int
    first_at: int
    last_at: int
    newest: int
    """Id of the newest, an example."""
    subject: str
    """Study Instance UID of the newest."""
    outcome: dict[str, Any] | None
    """Of the newest."""


_is_stuck = outbox.c.state.in_([word(state) for state in STUCK])
"""In the words of the partial index: a database does not compare it with a parameter."""


def stuck(connection: Connection) -> list[Stuck]:
    """What is parked or rejected, by cause, the most frequent first."""
    newest = func.max(outbox.c.id).label("newest")
    groups = (
        select(
            newest, func.count().label("rows"), func.min(outbox.c.finished_at).label("first_at"),
            func.max(outbox.c.finished_at).label("last_at"),
        )
        .where(_is_stuck)
        .group_by(outbox.c.cause)
        .subquery()
    )  # fmt: skip
    wanted = (
        select(groups, outbox.c.kind, outbox.c.cause, outbox.c.cause_text, outbox.c.subject, outbox.c.outcome)
        .join(outbox, outbox.c.id == groups.c.newest)
        .order_by(groups.c.rows.desc(), groups.c.newest)
    )
    return [
        Stuck(
            Cause(row.cause, WorkKind.of(row.kind), row.cause_text), row.rows, row.first_at or 0, row.last_at or 0,
            row.newest, row.subject, row.outcome,
        )
        for row in connection.execute(wanted)
    ]  # fmt: skip


def count_stuck(connection: Connection) -> int:
    """How much is parked or rejected."""
    return int(connection.execute(select(func.count()).select_from(outbox).where(_is_stuck)).scalar_one())


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """One page of work to which something was done."""

    done: list[WorkRow]
    left: list[str]
    """Why it was not done to the others."""
    last: WorkRow | None
    """Id of the last row that was looked at; None: there was none."""


BEGINNING: Final = WorkRow(0)


class Change(Protocol):
    """What is done to rows; raises `Conflict` or `UnknownKey` before anything is changed."""

    def __call__(self, connection: Connection, ids: Sequence[WorkRow]) -> list[WorkRow]: ...


def change_each(connection: Connection, ids: Sequence[WorkRow], change: Change) -> ChangedPage:
    """Change work one by one: the others are changed whatever one of them is refused for."""
    page = ChangedPage([], [], ids[-1] if ids else None)
    for work in ids:
        try:
            page.done.extend(change(connection, [work]))
        except (Conflict, UnknownKey) as error:
            page.left.append(str(error))
    return page


def of_cause(connection: Connection, key: str, *, after: WorkRow = BEGINNING) -> list[WorkRow]:
    """Ids of work that is parked or rejected for a cause: at most `PAGE` behind the id `after`."""
    wanted = select(outbox.c.id).where(_is_stuck, outbox.c.cause == key, outbox.c.id > after).order_by(outbox.c.id)
    return list(connection.execute(wanted.limit(PAGE)).scalars())


def _overtaken_by(connection: Connection, row: Any) -> WorkRow | None:
    """The first later row of the lane that was sent or is under way, of a kind of which that one holds all that this
    one does. The others are held until the transaction ends, so that none is claimed meanwhile."""
    if not WorkKind.of(row.kind).overtakes:
        return None
    later = (
        select(outbox.c.id, outbox.c.state)
        .where(
            outbox.c.subject == row.subject, outbox.c.lane == row.lane, outbox.c.id > row.id,
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
    wanted = select(*LISTED).order_by(outbox.c.id.desc()).limit(limit)
    if states:
        wanted = wanted.where(outbox.c.state.in_(states))
    if subject:
        wanted = wanted.where(outbox.c.subject == subject)
    if before is not None:
        wanted = wanted.where(outbox.c.id < before)
    return by_the_wall_clock(connection, connection.execute(wanted).mappings())


def by_the_wall_clock(connection: Connection, rows: Iterable[RowMapping]) -> list[dict[str, Any]]:
    """Rows as people read their due times."""
    return [{**row, "due_at": heartbeats.shown(connection, row["due_at"])} for row in rows]


def counts(connection: Connection) -> list[tuple[str, str, int]]:
    """(kind, state, rows) of all work that is not done, for metrics and readiness."""
    # Each by the partial index of its states.
    parts = ((is_active(outbox),), (_is_stuck, outbox.c.state == WorkState.PARKED.value))
    counted = (
        select(outbox.c.kind, outbox.c.state, func.count()).where(*part).group_by(outbox.c.kind, outbox.c.state)
        for part in parts
    )
    return [(kind, state, number) for one in counted for kind, state, number in connection.execute(one)]
