"""The rule of one kind of rows: where its rows are, what keeps some of them, and how a few of them are deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Table, delete, select

from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.records.work import ACTIVE, STUCK
from gateway.store import legal_holds
from gateway.store.schema import EMPTY, orders, outbox, procedures

Judge = Callable[[Connection, Sequence[int], Limits], Mapping[int, Stays]]
"""Which of these rows stay, and why; reads alone."""
Delete = Callable[[Connection, Sequence[int], Limits], Counter[str]]
"""Deletes these rows and what hangs on them; table -> rows."""
Hold = Callable[[Connection, Sequence[int]], None]
"""Keeps these rows from other writers until the transaction ends. Raises `Contended`."""

UNFINISHED: Final = tuple(state.value for state in (*ACTIVE, *STUCK))
"""States of work that is not done: it waits, is under way, or needs a person."""


@dataclass(frozen=True, slots=True)
class Rule:
    kind: RetentionKind
    table: Table
    moment: Column[Any] | None
    """When a row was made: grows with the ids. None: each row is looked at."""
    judge: Judge
    delete: Delete
    hold: Hold = lambda connection, ids: None
    weigh: Callable[[Connection, Sequence[int]], Mapping[int, int]] | None = None
    """How many rows hang on each, where they may be thousands."""

    @property
    def key(self) -> Column[Any]:
        column: Column[Any] = self.table.c.id
        return column

    def page(self, connection: Connection, *, after: int, end: int, limit: int) -> list[int]:
        """Ids behind `after` and before `end`, in order."""
        wanted = select(self.key).where(self.key > after, self.key < end).order_by(self.key).limit(limit)
        return list(connection.execute(wanted).scalars())

    def has_left(self, connection: Connection, ids: Sequence[int], stays: int) -> bool:
        """Whether more of `ids` are left than `stays`: those that are too large for one transaction."""
        left = connection.execute(select(self.key).where(self.key.in_(ids))).scalars().all()
        return len(left) > stays

    def deleted(self, connection: Connection, ids: Sequence[int], limits: Limits) -> tuple[Counter[str], Counter[str]]:
        """Delete those of `ids` that nothing keeps: (table -> rows, `Stays` -> rows that stay)."""
        legal_holds.keep_from_change(connection)
        self.hold(connection, ids)
        stays = self.judge(connection, ids, limits)
        going = [one for one in ids if one not in stays]
        return self.delete(connection, going, limits) if going else Counter(), Counter(stays.values())


class Verdict(dict[int, Stays]):
    """Row -> why it stays: the first reason that was given."""

    def stay(self, rows: Iterable[int], why: Stays) -> None:
        for row in rows:
            self.setdefault(row, why)


def remove(
    connection: Connection, tally: Counter[str], table: Table, column: ColumnElement[Any], values: Sequence[Any]
) -> None:
    """Delete the rows whose `column` is among `values`, and count them."""
    if values and (number := connection.execute(delete(table).where(column.in_(values))).rowcount):
        tally[str(table.name)] += number


def of_orders(connection: Connection, uids: Collection[str]) -> set[str]:
    """Those of these Study Instance UIDs that an order has."""
    wanted = sorted({one for one in uids if one})
    if not wanted:
        return set()
    of_procedures = select(procedures.c.study_uid).where(procedures.c.study_uid.in_(wanted))
    # In the words of its index.
    stated = select(orders.c.study_uid).where(orders.c.study_uid.in_(wanted), orders.c.study_uid != EMPTY)
    return {uid for one in (of_procedures, stated) for uid in connection.execute(one).scalars()}


def unfinished(connection: Connection, subjects: Iterable[str]) -> set[str]:
    """Those of these subjects for which work waits, is under way or needs a person."""
    wanted = sorted({one for one in subjects if one})
    if not wanted:
        return set()
    rows = select(outbox.c.subject).where(outbox.c.subject.in_(wanted), outbox.c.state.in_(UNFINISHED)).distinct()
    return set(connection.execute(rows).scalars())
