"""The log of what scanners asked, and of the steps in the answers, for a bounded number of queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select

from gateway.records.row_ids import StepRow
from gateway.store.among import Among
from gateway.store.read_ahead import Asked
from gateway.store.schema import queries, query_matches, steps
from gateway.store.statement import Statement

KEPT_QUERIES: Final = 10_000
LOGGED_MATCHES: Final = 100
_FORGET_EACH: Final = 100
"""Once in so many queries the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class ScannerQuery:
    """A query that was answered."""

    asked_at: int
    calling_ae: str
    address: str
    keys: Mapping[str, Any]
    status: int
    """Of a C-FIND (PS3.4 Table K.4-1)."""
    matches: Sequence[StepRow]
    micros: int


_ADD: Final = Statement(insert(queries), ["asked_at", "calling_ae", "address", "keys", "status", "matches", "micros"])
_ADD_MATCH: Final = Statement(insert(query_matches), ["query", "step"])
_THERE: Final = Statement(select(steps.c.id).where(Among(steps.c.id, "ids")))


def adding(asked: Sequence[ScannerQuery]) -> Asked:
    """For the writer, of a unit that logs these queries."""
    return Asked((), tuple, adds=["queries"] * len(asked))


def log(connection: Connection, asked: Sequence[ScannerQuery]) -> None:
    """Keep queries in their order, all by a few statements in a unit that was given to the writer with `adding`."""
    matched = {step for one in asked for step in one.matches[:LOGGED_MATCHES]}
    # Some may be gone, and SQLite gives their numbers to others.
    there = {row["id"] for row in _THERE.rows(connection, {"ids": sorted(matched)})} if matched else set()
    numbers = [_add(connection, one, there) for one in asked]
    if any(number % _FORGET_EACH == 0 for number in numbers):
        _forget_until(connection, numbers[-1] - KEPT_QUERIES)


def _add(connection: Connection, query: ScannerQuery, there: Collection[StepRow]) -> int:
    """Its number. `there`: the steps that are."""
    row = {
        "asked_at": query.asked_at, "calling_ae": query.calling_ae, "address": query.address, "keys": query.keys,
        "status": query.status, "matches": len(query.matches), "micros": query.micros,
    }  # fmt: skip
    number = _ADD.add(connection, row)
    for step in dict.fromkeys(query.matches[:LOGGED_MATCHES]):
        if step in there:
            _ADD_MATCH.add_later(connection, {"query": number, "step": step})
    return number


def _forget_until(connection: Connection, number: int) -> None:
    for table, column in ((query_matches, query_matches.c.query), (queries, queries.c.id)):
        connection.execute(delete(table).where(column <= bindparam("number")), {"number": number})


def askers(connection: Connection, step_ids: Sequence[StepRow]) -> list[dict[str, Any]]:
    """Scanners whose answers held these steps: calling AE title, first and last time, how often."""
    wanted = (
        select(
            queries.c.calling_ae, func.min(queries.c.asked_at).label("first_at"),
            func.max(queries.c.asked_at).label("last_at"), func.count(func.distinct(queries.c.id)).label("times"),
        )
        .join(query_matches, query_matches.c.query == queries.c.id)
        .where(query_matches.c.step.in_(step_ids))
        .group_by(queries.c.calling_ae)
        .order_by(func.min(queries.c.asked_at))
    )  # fmt: skip
    return [dict(row) for row in connection.execute(wanted).mappings()]


def last(connection: Connection, calling_ae: str) -> RowMapping | None:
    """The newest query of a calling AE title among those that are kept."""
    return next(iter(newest(connection, calling_ae, limit=1)), None)


def newest(connection: Connection, calling_ae: str, *, limit: int) -> list[RowMapping]:
    """The newest queries of a calling AE title among those that are kept, the newest first."""
    wanted = select(queries).where(queries.c.calling_ae == calling_ae).order_by(queries.c.id.desc()).limit(limit)
    return list(connection.execute(wanted).mappings())


def who_asked(connection: Connection) -> list[RowMapping]:
    """`calling_ae`, `times` and `last_at` of everyone whose queries are kept (`KEPT_QUERIES`), by title."""
    at = queries.c.asked_at
    wanted = select(queries.c.calling_ae, func.count().label("times"), func.max(at).label("last_at"))
    return list(connection.execute(wanted.group_by(queries.c.calling_ae).order_by(queries.c.calling_ae)).mappings())


def answered(connection: Connection, calling_ae: str, step_ids: Sequence[StepRow]) -> dict[StepRow, int]:
    """Step -> when an answer to this calling AE title last held it."""
    wanted = (
        select(query_matches.c.step, func.max(queries.c.asked_at).label("at"))
        .join(queries, queries.c.id == query_matches.c.query)
        .where(query_matches.c.step.in_(step_ids), queries.c.calling_ae == calling_ae)
        .group_by(query_matches.c.step)
    )
    return {row.step: row.at for row in connection.execute(wanted)}
