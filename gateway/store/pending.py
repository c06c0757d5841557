"""Rows that a transaction of the writer has added and not sent to the database yet.

A row whose key is known beforehand need not go at once: the rows of all messages of a transaction go table by table,
in a few statements, before the next look at the database or before the commit. Whoever looks finds them all. On
PostgreSQL, keys are taken from the sequences for all messages at once; on SQLite, which has one writer, they follow the
highest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, Insert, Table
from sqlalchemy.event import listens_for
from sqlalchemy.sql import ClauseElement

from gateway.store.carried import carried, carrying
from gateway.store.driver import in_one_round_trip
from gateway.store.schema import messages as message_rows
from gateway.store.schema import metadata, orders, patients, procedures, steps

if TYPE_CHECKING:
    from gateway.store.statement import Statement

KEYED: Final = {patients: 1, orders: 1, procedures: 2, steps: 2, message_rows: 1}
"""Tables whose keys are known beforehand, and how many for each message."""
_PLACES: Final = {table.name: place for place, table in enumerate(metadata.sorted_tables)}
"""Rows that others refer to go first."""
_NAME: Final = "pending"


class Pending:
    """The rows of one transaction. `keys`: table -> keys that its next rows get."""

    __slots__ = ("keys", "rows")

    def __init__(self, keys: Mapping[str, Iterator[int]]) -> None:
        self.keys = dict(keys)
        self.rows: defaultdict[Statement, list[Mapping[str, Any]]] = defaultdict(list)


@contextmanager
def gathered(connection: Connection, keys: Mapping[str, Iterator[int]]) -> Iterator[None]:
    """Gather the rows of the transaction of `connection` within the block, which must end with `flush`."""
    carrying(connection)[_NAME] = Pending(keys)
    try:
        yield
    finally:
        del carrying(connection)[_NAME]


def add(connection: Connection, statement: Statement, table: str, values: Mapping[str, Any]) -> int | None:
    """Keep the row of an INSERT for later and give its key; None where its key is not known beforehand, and the row is
    to be inserted now."""
    pending: Pending | None = carried(connection).get(_NAME)
    keys = None if pending is None else pending.keys.get(table)
    if pending is None or keys is None:
        return None
    key = next(keys, None)
    if key is not None:
        pending.rows[statement].append({**values, "id": key})
    return key


def add_without_key(connection: Connection, statement: Statement, values: Mapping[str, Any]) -> bool:
    """Keep the row of an INSERT for later; False where rows are not gathered."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is not None:
        pending.rows[statement].append(values)
    return pending is not None


def flush(connection: Connection) -> None:
    """Send what was gathered. Raises `DBAPIError`, for a row of any unit of the transaction."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is None or not pending.rows:
        return
    rows, pending.rows = pending.rows, defaultdict(list)
    with in_one_round_trip(connection):
        for statement in sorted(rows, key=lambda statement: _PLACES[statement.table]):
            statement.insert_all(connection, rows[statement])


def drop(connection: Connection) -> None:
    """Forget what was gathered since the last look: the unit that added it is taken back."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is not None:
        pending.rows.clear()


def end_keys(connection: Connection, table: str) -> None:
    """Note that a row of `table` got a key from the database, which may be one of those known beforehand."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is not None:
        pending.keys.pop(table, None)


def follow(engine: Engine) -> None:
    """Let what SQLAlchemy runs find the rows that were gathered, and a savepoint take back those since it was set."""

    @listens_for(engine, "before_cursor_execute")
    def _looked(connection: Connection, *_: object) -> None:
        flush(connection)

    @listens_for(engine, "before_execute")
    def _inserted(connection: Connection, statement: ClauseElement, *_: object) -> None:
        if isinstance(statement, Insert) and isinstance(statement.table, Table):
            end_keys(connection, statement.table.name)

    @listens_for(engine, "rollback_savepoint")
    def _rolled_back(connection: Connection, *_: object) -> None:
        drop(connection)
