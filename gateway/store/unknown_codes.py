"""Codes that no table had, counted by day: what a site adds to its tables next. A week is kept, so many codes a day."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.records.missing_code import MissingCode
from gateway.store.engine import lock
from gateway.store.schema import unknown_codes

DAY: Final = 86_400 * 1_000_000
DAYS: Final = 7
MOST_A_DAY: Final = 500
"""Different codes; of more it is not known how often they came."""
MOST_AT_ONCE: Final = 20
"""Of one message or study."""
LONGEST: Final = 64


def count(
    connection: Connection, missing: Collection[MissingCode], *, now: int, message: int | None = None, study: str = ""
) -> None:
    """Count codes that the tables lacked in a message (its row) or a study (its UID), as those of today."""
    day = now // DAY
    counted = sorted(missing)[:MOST_AT_ONCE]
    # A transaction of the writer is of several messages, whose codes come in any order.
    lock(connection, *(f"code|{table}|{code[:LONGEST]}" for table, code in counted))
    for table, code in counted:
        which = (
            unknown_codes.c.day == day, unknown_codes.c.code_table == table, unknown_codes.c.code == code[:LONGEST],
        )  # fmt: skip
        values = {"last_at": now, "message": message, "study_uid": study}
        again = update(unknown_codes).where(*which).values(count=unknown_codes.c.count + 1, **values)
        if not connection.execute(again).rowcount:
            _add(connection, {"day": day, "code_table": table, "code": code[:LONGEST], "count": 1, **values})


def _add(connection: Connection, values: dict[str, object]) -> None:
    day = int(str(values["day"]))
    lock(connection, "codes")
    connection.execute(delete(unknown_codes).where(unknown_codes.c.day <= day - DAYS - 1))
    today = select(func.count()).select_from(unknown_codes).where(unknown_codes.c.day == day)
    if int(connection.execute(today).scalar_one()) >= MOST_A_DAY:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(unknown_codes), values)
    except IntegrityError:
        # Another process has counted it first; one more or less is no harm.
        return


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that a table lacked lately."""

    table: str
    code: str
    count: int
    last_at: int
    message: int | None
    """The last message with it."""
    study_uid: str
    """Or the last study."""


def listing(connection: Connection, *, now: int, limit: int = 200) -> list[UnknownCode]:
    """The codes of the last `DAYS` days, the most frequent first."""
    last = func.max(unknown_codes.c.id).label("last")
    number, at = func.sum(unknown_codes.c.count).label("number"), func.max(unknown_codes.c.last_at).label("at")
    groups = (
        select(last, number, at)
        .where(unknown_codes.c.day > now // DAY - DAYS)
        .group_by(unknown_codes.c.code_table, unknown_codes.c.code)
        .subquery()
    )
    columns = unknown_codes.c
    wanted = (
        select(
            columns.code_table, columns.code, groups.c.number, groups.c.at, columns.message, columns.study_uid,
        )
        .join(groups, groups.c.last == columns.id)
        .order_by(groups.c.number.desc(), columns.code_table, columns.code)
        .limit(limit)
    )  # fmt: skip
    return [UnknownCode(row[0], row[1], int(row[2]), int(row[3]), *row[4:]) for row in connection.execute(wanted)]
