"""Statements of the hot path: written with SQLAlchemy, compiled once per database, run on the driver itself.

Running a statement through `Connection.execute` costs four times what SQLite needs for it. What is run for every
message goes this way instead; all else keeps to `Connection.execute`. Errors are the same, `DBAPIError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Insert, Table, Update
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.visitors import iterate

from gateway.store import foreseen, many_rows, pending
from gateway.store.absences import written_by
from gateway.store.driver import call
from gateway.store.driver_statement import DriverStatement
from gateway.store.foreseen import About, Found, Touches, written_table
from gateway.store.pending import Joined

Row = Mapping[str, Any]
Call = tuple[str, Any]
"""SQL, and what the driver is given with it."""


class Statement:
    """A statement that is run with one driver call. `names`: the columns that an INSERT or UPDATE is given.

    `about`: whom the rows of a SELECT are about, which may be read beforehand (`foreseen`). `touches`: whom an INSERT
    or UPDATE changes of all that is read beforehand; None: all of its table. `holds_others`: the rows of a SELECT are
    held, and whoever changes other rows that may be read beforehand holds these; the others are read behind them.
    """

    is_for_many = False
    """Whether it is run for many rows at once, whatever it is about or touches."""

    def __init__(
        self,
        statement: ClauseElement,
        names: Sequence[str] | None = None,
        *,
        about: About | None = None,
        touches: Touches | None = None,
        holds_others: bool = False,
    ) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, DriverStatement] = {}
        self._with_key: Statement | None = None
        self._written = written_by(statement)
        self.about = about
        self.holds_others = holds_others
        self._touches = touches
        self._writes = written_table(statement)
        self.reads = frozenset(one.name for one in iterate(statement) if isinstance(one, Table) and about)
        """The tables that a SELECT reads, if it may be foreseen."""
        self.table = self._writes if isinstance(statement, Insert | Update) else ""
        """Which an INSERT or UPDATE writes; else empty."""

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a SELECT finds, or an UPDATE returns, each row by its columns' names."""
        compiled = self._for(connection)
        found = foreseen.take(connection, self, values) if self.about is not None else None
        if found is None:
            found = self.found(connection, values)
        if self._writes:
            self._note(connection, values)
        return self._named(compiled, found)

    def known(self, connection: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """What a SELECT finds, as `rows`, if that was read beforehand; else None."""
        compiled = self._for(connection)
        found = foreseen.take(connection, self, values)
        return None if found is None else self._named(compiled, found)

    def _named(self, compiled: DriverStatement, found: Found) -> list[dict[str, Any]]:
        columns, readers = compiled.columns, compiled.readers
        result = []
        for row in found:
            named = dict(zip(columns, row, strict=True))
            for number, read in readers:
                named[columns[number]] = read(row[number])
            result.append(named)
        return result

    def first(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def key_of(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """What tells these values from others, and this statement from others."""
        [compiled, *_] = self._compiled.values()
        return self, compiled.wanted(values)

    def look(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> many_rows.Look:
        """PostgreSQL: a SELECT for each of these values as a part of a statement that looks for more."""
        compiled = self._for(connection)
        names = compiled.required
        return many_rows.Look(
            compiled.sql_of_json, compiled.fixed, [[values[name] for name in names] for values in many],
            compiled.columns, compiled.binary,
        )  # fmt: skip

    def found(self, connection: Connection, values: Mapping[str, Any]) -> Found:
        """What a SELECT finds, as the driver gives it."""
        rows: Found = self._run(connection, self._for(connection), values).fetchall()
        return rows

    def add(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Add the row of an INSERT, now or with others before the next look at the database, and return its key."""
        key = pending.add(connection, self._keyed, self.table, values)
        if key is None:
            return self.add_now(connection, values)
        self._note(connection, values)
        return key

    def add_now(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run an INSERT and return the key of its row."""
        pending.end_keys(connection, self.table)
        self._note(connection, values)
        compiled = self._for(connection)
        cursor = self._run(connection, compiled, values)
        return int(cursor.fetchone()[0] if compiled.has_key else cursor.lastrowid)

    def add_later(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Add the row of an INSERT that nobody needs the key of, before the next look at the database."""
        if pending.add_without_key(connection, self, values):
            self._note(connection, values)
        else:
            self.run(connection, values)

    def change_later(
        self, connection: Connection, values: Mapping[str, Any], *, row: str, joined: Joined | None = None
    ) -> None:
        """Run an UPDATE before the next look at the database, with others. `row`: the parameter that names the row, of
        whose changes the last counts, or what `joined` makes of two. Not for what an index keeps from being twice."""
        if pending.change(connection, self, values[row], values, joined):
            self._note(connection, values)
        else:
            self.run(connection, values)

    @property
    def _keyed(self) -> Statement:
        """The INSERT that is given the key of its row too."""
        if self._with_key is None:
            self._with_key = Statement(self._statement, [*(self._names or ()), "id"], touches=self._touches)
        return self._with_key

    def inserts(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Iterator[Call]:
        """The few statements of an INSERT of `rows`, noted as written by the caller."""
        compiled = self._for(connection)
        if len(rows) == 1 and not compiled.sql_of_json:
            yield compiled.sql, compiled.given(rows[0])
            return
        given = [compiled.given(values) for values in rows]
        if compiled.sql_of_json:
            yield from ((compiled.sql_of_json, {"rows": text}) for text in many_rows.as_json(given))
            return
        for first, size in many_rows.portions(len(given)):
            parameters = list(chain.from_iterable(given[first : first + size]))
            yield many_rows.of_size(compiled.sql, size), parameters

    def updates(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Iterator[Call]:
        """The statements of an UPDATE or DELETE of `rows`, noted as written by the caller; of PostgreSQL few."""
        compiled = self._for(connection)
        given = [compiled.given(values) for values in rows]
        if compiled.sql_of_json:
            yield from ((compiled.sql_of_json, {**compiled.fixed, "rows": text}) for text in many_rows.as_json(given))
            return
        yield from ((compiled.sql, one) for one in given)

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it; the number of rows that an INSERT or UPDATE met."""
        cursor = self._run(connection, self._for(connection), values)
        self._note(connection, values)
        return int(cursor.rowcount)

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of `rows`, on PostgreSQL in one round trip; the number of rows that an INSERT or UPDATE met
        in all."""
        if len(rows) == 1:
            return self.run(connection, rows[0])
        compiled = self._for(connection)
        given = [compiled.given(values) for values in rows]
        met = int(execute(connection, compiled.sql, given, many=True).rowcount) if given else 0
        for values in rows:
            self._note(connection, values)
        return met

    def _note(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Let what was noted and read beforehand follow what is written."""
        if self._written is not None:
            self._written(connection, values)
        if self._touches is not None:
            foreseen.end(connection, self._touches(values))
        elif self._writes:
            foreseen.end_table(connection, self._writes)

    def _for(self, connection: Connection) -> DriverStatement:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = DriverStatement(
                self._statement, dialect, self._names, is_for_many=self.is_for_many or bool(self.about or self._touches)
            )
        return compiled

    def _run(self, connection: Connection, compiled: DriverStatement, values: Mapping[str, Any]) -> Any:
        return execute(connection, compiled.sql, compiled.given(values))


def execute(connection: Connection, sql: str, given: Any = (), *, many: bool = False) -> Any:
    """As `driver.call`, behind the rows that wait."""
    pending.flush(connection)
    return call(connection, sql, given, many=many)
