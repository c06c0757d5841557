"""What the units of a transaction will read, read beforehand for all of them, and kept until somebody changes it.

A unit states its reads before it runs. `read_ahead` asks the database for those of all units of a transaction, each
kind of read by one statement, and keeps here what was found; `Statement.rows` takes rows from here instead of asking.
Only statements that state whom their rows are about (`about`) are foreseen.

Rows stay true until somebody writes: a statement of the hot path names whom it changes (`touches`), any other insert,
update or delete ends all that was read of its table. On PostgreSQL the keys under which others would write are held
before anything is read, or the rows themselves are (`FOR UPDATE`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Delete, Engine, Insert, Table, Update
from sqlalchemy.event import listens_for
from sqlalchemy.sql import ClauseElement

from gateway.store.carried import carried, carrying

if TYPE_CHECKING:
    from gateway.store.statement import Statement

Subject = tuple[str, Any]
"""Whom rows are about, such as `("order", 17)`."""
Found = Sequence[Sequence[Any]]
"""Rows as the driver gives them."""
About = Callable[[Mapping[str, Any], Found], Iterable[Subject]]
"""Of the values that a statement is run with, and of its rows."""
Touches = Callable[[Mapping[str, Any]], Iterable[Subject]]
"""Of the values that a statement writes."""
Read = tuple["Statement", Mapping[str, Any]]
"""A statement, and the values that it will be run with."""
_NAME: Final = "foreseen"
_Key = tuple[Any, ...]


class _Foreseen:
    __slots__ = ("keys", "rows", "tables")

    def __init__(self) -> None:
        self.rows: dict[_Key, Found] = {}
        self.tables: set[str] = set()
        """Of which anything was read."""
        self.keys: defaultdict[Subject, set[_Key]] = defaultdict(set)


def begin(connection: Connection) -> None:
    """Keep what is read beforehand for the transaction of `connection`."""
    carrying(connection)[_NAME] = _Foreseen()


def note(connection: Connection, statement: Statement, values: Mapping[str, Any], rows: Found) -> None:
    """Keep what `statement` finds for `values`."""
    foreseen: _Foreseen = carried(connection)[_NAME]
    key = statement.key_of(values)
    foreseen.rows[key] = rows
    foreseen.tables |= statement.reads
    assert statement.about is not None
    for subject in statement.about(values, rows):
        foreseen.keys[subject].add(key)


def take(connection: Connection, statement: Statement, values: Mapping[str, Any]) -> Found | None:
    """What `statement` finds for `values`; None where that is not known."""
    foreseen: _Foreseen | None = carried(connection).get(_NAME)
    return foreseen.rows.get(statement.key_of(values)) if foreseen is not None and foreseen.rows else None


def end(connection: Connection, subjects: Iterable[Subject]) -> None:
    """Forget what is about `subjects`: they are changed."""
    foreseen: _Foreseen | None = carried(connection).get(_NAME)
    if foreseen is None or not foreseen.rows:
        return
    for subject in subjects:
        for key in foreseen.keys.pop(subject, ()):
            foreseen.rows.pop(key, None)


def end_table(connection: Connection, table: str) -> None:
    """Forget what was read of a table."""
    foreseen: _Foreseen | None = carried(connection).get(_NAME)
    if foreseen is not None and table in foreseen.tables:
        foreseen.tables.discard(table)
        for key in [key for key in foreseen.rows if table in key[0].reads]:
            del foreseen.rows[key]


def written_table(statement: ClauseElement) -> str:
    """The table that an insert, update or delete writes; else empty."""
    if isinstance(statement, Insert | Update | Delete) and isinstance(statement.table, Table):
        return str(statement.table.name)
    return ""


def follow_writes(engine: Engine) -> None:
    """Let each insert, update and delete that SQLAlchemy runs end what was read of its table."""

    @listens_for(engine, "before_execute")
    def _written(connection: Connection, statement: ClauseElement, *_: object) -> None:
        if name := written_table(statement):
            end_table(connection, name)
