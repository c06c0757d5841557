"""Rows that a transaction of the writer has added and not sent to the database yet.

A row whose key is known beforehand need not go at once: the rows of all messages of a transaction go table by table,
in a few statements, before the next look at the database or before the commit. Whoever looks finds them all. On
PostgreSQL, keys are taken from the sequences for all messages at once; on SQLite, which has one writer, they follow the
highest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, Insert, Table
from sqlalchemy.event import listens_for
from sqlalchemy.sql import ClauseElement

from gateway.store import driver, many_rows
from gateway.store.carried import carried, carrying
from gateway.store.schema import messages as message_rows
from gateway.store.schema import metadata, orders, patients, procedures, steps

if TYPE_CHECKING:
    from gateway.store.statement import Statement

KEYED: Final = {patients: 1, orders: 1, procedures: 2, steps: 2, message_rows: 1}
"""Tables whose keys are known beforehand where messages are kept, and how many for each message."""
_PLACES: Final = {table.name: place for place, table in enumerate(metadata.sorted_tables)}
"""Rows that others refer to go first."""
_NAME: Final = "pending"
Joined = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
"""The values of one UPDATE of a row that does what two would do, one after the other."""


class Pending:
    """The rows of one transaction. `keys`: table -> keys that its next rows get."""

    __slots__ = ("changes", "keys", "rows")

    def __init__(self, keys: Mapping[str, Iterator[int]]) -> None:
        self.keys = dict(keys)
        self.rows: defaultdict[Statement, list[Mapping[str, Any]]] = defaultdict(list)
        self.changes: dict[str, tuple[Statement, dict[Any, Mapping[str, Any]]]] = {}
        """Table -> an UPDATE, with the values of each row that waits for it."""


def begin(connection: Connection, keys: Mapping[str, Iterator[int]]) -> None:
    """Gather the rows of the transaction of `connection`, which must end with `flush`."""
    carrying(connection)[_NAME] = Pending(keys)


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


def change(
    connection: Connection, statement: Statement, row: Any, values: Mapping[str, Any], joined: Joined | None = None
) -> bool:
    """Keep the UPDATE of a row for later, in place of what waits for the row by the same statement, or joined with it;
    False where it is to be run now."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is None:
        return False
    waiting = pending.changes.get(statement.table)
    if waiting is not None and waiting[0] is not statement:
        flush(connection)
        waiting = None
    if waiting is None:
        waiting = pending.changes[statement.table] = statement, {}
    before = waiting[1].get(row)
    waiting[1][row] = values if before is None or joined is None else joined(before, values)
    return True


def flush(connection: Connection) -> None:
    """Send what was gathered. Raises `DBAPIError`, for a row of any unit of the transaction."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is None or not (pending.rows or pending.changes):
        return
    rows, pending.rows = pending.rows, defaultdict(list)
    changes, pending.changes = pending.changes, {}
    added = [call for statement in sorted(rows, key=_place) for call in statement.inserts(connection, rows[statement])]
    changed = [
        call
        for statement, of_rows in sorted(changes.values(), key=lambda change: _place(change[0]))
        for call in statement.updates(connection, list(of_rows.values()))
    ]
    # An UPDATE does not see rows that are added by the same statement.
    new = (
        {(statement.table, values.get("id")) for statement in rows for values in rows[statement]} if changes else set()
    )
    is_one = new.isdisjoint((table, row) for table, (_, of_rows) in changes.items() for row in of_rows)
    for calls in ((*added, *changed),) if is_one else (added, changed):
        run(connection, calls)


def run(connection: Connection, calls: Sequence[tuple[str, Any]]) -> None:
    """Run statements that write different rows, on PostgreSQL as one, beside what waits."""
    is_one = len(calls) > 1 and connection.dialect.name == "postgresql"
    for sql, given in (many_rows.in_one(calls),) if is_one else calls:
        driver.call(connection, sql, given)


def _place(statement: Statement) -> int:
    return _PLACES[statement.table]


def drop(connection: Connection) -> None:
    """Forget what was gathered since the last look: the unit that added it is taken back."""
    pending: Pending | None = carried(connection).get(_NAME)
    if pending is not None:
        pending.rows.clear()
        pending.changes.clear()


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
