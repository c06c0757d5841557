"""Statements of the hot path: written with SQLAlchemy, compiled once per database, run on the driver itself.

Running a statement through `Connection.execute` costs four times what SQLite needs for it. What is run for every
message goes this way instead; all else keeps to `Connection.execute`. Errors are the same, `DBAPIError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Insert, LargeBinary, Table, Update
from sqlalchemy.sql import ClauseElement, Select
from sqlalchemy.sql.selectable import CompoundSelect

from gateway.store import many_rows, pending
from gateway.store.absences import written_by
from gateway.store.driver import call

Process = Callable[[Any], Any]
Row = Mapping[str, Any]


class _DriverStatement:
    """A statement as one database's driver takes it."""

    __slots__ = ("columns", "given", "has_key", "readers", "sql", "sql_of_json", "types")

    def __init__(self, statement: ClauseElement, dialect: Dialect, names: Sequence[str] | None) -> None:
        self.has_key = False
        if isinstance(statement, Insert) and dialect.name == "postgresql" and "id" not in (names or ()):
            [key, *others] = statement.table.primary_key
            if not others:
                statement, self.has_key = statement.returning(key), True
        keys = list(names) if names is not None else None
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self.sql: str = compiled.string
        # SQLAlchemy's own kind of name is no `str` to a JSON writer.
        names_of = list(map(str, compiled.positiontup if compiled.positional else compiled.params))
        parameters = [_parameter(name, compiled.binds[name], dialect) for name in names_of]
        self.given = _positional(parameters) if compiled.positional else _named(parameters, names_of)
        self.sql_of_json = ""
        """Of an INSERT of PostgreSQL; see `many_rows.from_json`."""
        if dialect.name == "postgresql" and isinstance(statement, Insert) and isinstance(statement.table, Table):
            self.sql_of_json = many_rows.from_json(statement.table, names_of, dialect)
        self.types = {name: compiled.binds[name].type for name in names_of}
        """Of the values."""
        exported = _exported(statement)
        self.columns = tuple(column.key or column.name for column in exported)
        self.readers = tuple(
            (number, process)
            for number, column in enumerate(exported)
            if (process := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        )


def _exported(statement: ClauseElement) -> list[ColumnElement[Any]]:
    """The columns of the rows that a statement gives."""
    if isinstance(statement, (Select, CompoundSelect)):
        return list(statement.selected_columns)
    return list(statement.exported_columns) if isinstance(statement, Update) else []


class Statement:
    """A statement that is run with one driver call. `names`: the columns that an INSERT or UPDATE is given."""

    def __init__(self, statement: ClauseElement, names: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._names = names
        self._compiled: dict[str, _DriverStatement] = {}
        self._with_key: Statement | None = None
        self._written = written_by(statement)
        target = statement.table if isinstance(statement, Insert) else None
        self.table = target.name if isinstance(target, Table) else ""
        """Into which an INSERT adds; else empty."""

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a SELECT finds, or an UPDATE returns, each row by its columns' names."""
        compiled = self._for(connection)
        found = self._run(connection, compiled, values).fetchall()
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

    def add(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Add the row of an INSERT, now or with others before the next look at the database, and return its key."""
        key = pending.add(connection, self._keyed, self.table, values)
        if key is None:
            return self.add_now(connection, values)
        if self._written is not None:
            self._written(connection, values)
        return key

    def add_now(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run an INSERT and return the key of its row."""
        pending.end_keys(connection, self.table)
        if self._written is not None:
            self._written(connection, values)
        compiled = self._for(connection)
        cursor = self._run(connection, compiled, values)
        return int(cursor.fetchone()[0] if compiled.has_key else cursor.lastrowid)

    def add_later(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Add the row of an INSERT that nobody needs the key of, before the next look at the database."""
        if self._written is not None or not pending.add_without_key(connection, self, values):
            self.run(connection, values)

    @property
    def _keyed(self) -> Statement:
        """The INSERT that is given the key of its row too."""
        if self._with_key is None:
            self._with_key = Statement(self._statement, [*(self._names or ()), "id"])
        return self._with_key

    def insert_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run an INSERT for `rows`, noted as written by the caller, in a few statements."""
        compiled = self._for(connection)
        if len(rows) == 1 and not compiled.sql_of_json:
            execute(connection, compiled.sql, compiled.given(rows[0]))
            return
        given = [compiled.given(values) for values in rows]
        if compiled.sql_of_json:
            for text in many_rows.as_json(given):
                execute(connection, compiled.sql_of_json, {"rows": text})
            return
        for first, size in many_rows.portions(len(given)):
            parameters = list(chain.from_iterable(given[first : first + size]))
            execute(connection, many_rows.of_size(compiled.sql, size), parameters)

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run it; the number of rows that an INSERT or UPDATE met."""
        cursor = self._run(connection, self._for(connection), values)
        if self._written is not None:
            self._written(connection, values)
        return int(cursor.rowcount)

    def run_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of `rows`, on PostgreSQL in one round trip; the number of rows that an INSERT or UPDATE met
        in all."""
        if len(rows) == 1:
            return self.run(connection, rows[0])
        compiled = self._for(connection)
        given = [compiled.given(values) for values in rows]
        met = int(execute(connection, compiled.sql, given, many=True).rowcount) if given else 0
        if self._written is not None:
            for values in rows:
                self._written(connection, values)
        return met

    def _for(self, connection: Connection) -> _DriverStatement:
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _DriverStatement(self._statement, dialect, self._names)
        return compiled

    def _run(self, connection: Connection, compiled: _DriverStatement, values: Mapping[str, Any]) -> Any:
        return execute(connection, compiled.sql, compiled.given(values))


_Parameter = tuple[str | None, Process | None, Any]


def _positional(parameters: Sequence[_Parameter]) -> Callable[[Row], list[Any]]:
    """What makes the driver's parameters of the values by name."""
    fixed = [fixed for _, _, fixed in parameters]
    places = [place for place, (name, _, _) in enumerate(parameters) if name is not None]
    names = [name for name, _, _ in parameters if name is not None]
    processes = [(place, process) for place, (_, process, _) in enumerate(parameters) if process is not None]
    take = itemgetter(*names) if len(names) == len(fixed) > 1 else None

    def given(values: Row) -> list[Any]:
        if take is not None:
            row = list(take(values))
        else:
            row = fixed.copy()
            for place, name in zip(places, names, strict=True):
                row[place] = values[name]
        for place, process in processes:
            row[place] = process(row[place])
        return row

    return given


def _named(parameters: Sequence[_Parameter], keys: Sequence[str]) -> Callable[[Row], dict[str, Any]]:
    of_places = _positional(parameters)
    return lambda values: dict(zip(keys, of_places(values), strict=True))


def _parameter(name: str, bind: Any, dialect: Dialect) -> _Parameter:
    """(name of the value, how the driver takes it, None), or (None, None, a value that stands in the statement)."""
    process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(bind.type, LargeBinary):
        process = None  # would wrap bytes, which both drivers take as they are
    if bind.required or bind.value is None:
        return name, process, None
    return None, None, process(bind.value) if process else bind.value


def execute(connection: Connection, sql: str, given: Any = (), *, many: bool = False) -> Any:
    """As `driver.call`, behind the rows that wait."""
    pending.flush(connection)
    return call(connection, sql, given, many=many)
