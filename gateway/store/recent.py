"""What came lately: found by ids, which grow with the time, so that no table needs an index of its moments.

A clock that is set back makes a moment look earlier than those before it; counts are then off by what came meanwhile.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Connection, bindparam, func, literal_column, select

from gateway.store.messages import IS_OPEN
from gateway.store.refusals import NOT_PUT_AWAY
from gateway.store.schema import (
    backups,
    instances,
    messages,
    orders,
    outbox,
    performed_steps,
    queries,
    refusals,
    studies,
)
from gateway.store.statement import Statement

MOMENT_OF: Final[dict[str, Column[Any]]] = {
    "messages": messages.c.received_at, "queries": queries.c.asked_at, "instances": instances.c.received_at,
    "outbox": outbox.c.created_at, "refusals": refusals.c.refused_at, "orders": orders.c.created_at,
    "studies": studies.c.first_at, "performed_steps": performed_steps.c.created_at,
}  # fmt: skip
"""Table -> when a row of it was made."""
MOST_LOOKED_AT: Final = 2_000
MOST_COUNTED: Final = 1_000


def first_since(connection: Connection, table: str, moment: int, *, low: int | None = None) -> int:
    """The id of the first row that was made at `moment` or later, by halves; beyond the last where there is none.

    `low`: an id that is known not to lie behind it.
    """
    column = MOMENT_OF[table]
    key: Column[Any] = column.table.c.id
    last = connection.execute(select(func.max(key))).scalar()
    if last is None:
        return low or 1
    high = int(last) + 1
    if low is None:
        low = int(connection.execute(select(func.min(key))).scalar_one())
    else:
        low, high = _near(connection, table, moment, low, high)
    while low < high:
        middle = (low + high) // 2
        row = _ROW_FROM[table].first(connection, {"the_id": middle})
        assert row is not None, "the last row of all stands before `high`"
        low, high = (row["id"] + 1, high) if row["at"] < moment else (low, middle)
    return low


def _near(connection: Connection, table: str, moment: int, low: int, high: int) -> tuple[int, int]:
    """The bounds drawn closer from `low` on, by steps that grow: what is looked for is seldom far from there."""
    step = STEP
    while low + step < high:
        row = _ROW_FROM[table].first(connection, {"the_id": low + step})
        assert row is not None, "the last row of all stands before `high`"
        if row["at"] >= moment:
            return low, low + step
        low, step = row["id"] + 1, 4 * step
    return low, high


STEP: Final = 16
_ROW_FROM: Final = {
    table: Statement(
        select(column.table.c.id, column.label("at"))
        .where(column.table.c.id >= bindparam("the_id"))
        .order_by(column.table.c.id)
        .limit(literal_column("1"))
    )
    for table, column in MOMENT_OF.items()
}
"""Table -> the first row with this id or a higher one: run twenty times for a moment."""


def newest_id(connection: Connection, table: str) -> int:
    """The id of the last row; 0: there is none."""
    return int(connection.execute(select(func.max(MOMENT_OF[table].table.c.id))).scalar() or 0)


class Newest(NamedTuple):
    """Of the messages of a listener."""

    last_at: int
    number: int


def messages_since(connection: Connection, first: int, *, most: int = MOST_LOOKED_AT) -> dict[str, Newest]:
    """Listener -> the messages whose id is `first` or above, of the newest `most` of all."""
    newest = (
        select(messages.c.listener, messages.c.received_at)
        .where(messages.c.id >= first)
        .order_by(messages.c.id.desc())
        .limit(most)
        .subquery()
    )
    wanted = select(newest.c.listener, func.max(newest.c.received_at), func.count()).group_by(newest.c.listener)
    return {listener: Newest(last, count) for listener, last, count in connection.execute(wanted)}


def not_applied_since(connection: Connection, first: int, *, most: int = MOST_COUNTED) -> dict[str, int]:
    """Listener -> how many messages whose id is `first` or above were not applied; `most` of all are counted.

    Without those of a type that is not served and those that a person put away.
    """
    wrong = (
        select(messages.c.listener)
        .where(*IS_OPEN, messages.c.id >= first)
        .order_by(messages.c.id.desc())
        .limit(most)
        .subquery()
    )
    wanted = select(wrong.c.listener, func.count()).group_by(wrong.c.listener)
    return {row[0]: row[1] for row in connection.execute(wanted)}


class LastQuery(NamedTuple):
    asked_at: int
    matches: int
    status: int
    """0: success."""


def last_queries(connection: Connection, *, most: int = MOST_LOOKED_AT) -> dict[str, LastQuery]:
    """Calling AE title -> its last query among the newest `most` of all."""
    newest = select(queries.c.id, queries.c.calling_ae).order_by(queries.c.id.desc()).limit(most).subquery()
    last = select(func.max(newest.c.id)).group_by(newest.c.calling_ae)
    wanted = select(queries.c.calling_ae, queries.c.asked_at, queries.c.matches, queries.c.status)
    rows = connection.execute(wanted.where(queries.c.id.in_(last)))
    return {title: LastQuery(asked_at, matches, status) for title, asked_at, matches, status in rows}


class KeptRefusal(NamedTuple):
    calling_ae: str
    source: str
    reason: str
    refused_at: int


def refused_since(connection: Connection, moment: int) -> list[KeptRefusal]:
    """What was refused and kept since then and not put away, newest first; of what no scanner sent the calling AE
    title is empty."""
    columns = (refusals.c.calling_ae, refusals.c.source, refusals.c.reason, refusals.c.refused_at)
    wanted = select(*columns).where(refusals.c.refused_at >= moment, NOT_PUT_AWAY).order_by(refusals.c.id.desc())
    return [KeptRefusal(*row) for row in connection.execute(wanted)]


def last_backup(connection: Connection) -> int | None:
    """When the last backup was made; None: none was noted."""
    made: int | None = connection.execute(select(backups.c.made_at).order_by(backups.c.id.desc()).limit(1)).scalar()
    return made
