"""A statement as the driver of one database takes it: compiled once, with what makes the driver's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Insert, LargeBinary, Table, Update
from sqlalchemy.sql import ClauseElement, Select
from sqlalchemy.sql.selectable import CompoundSelect

from gateway.store import many_rows

Process = Callable[[Any], Any]


class DriverStatement:
    """`names`: the columns that an INSERT or UPDATE is given."""

    __slots__ = (
        "binary",
        "columns",
        "fixed",
        "given",
        "has_key",
        "readers",
        "required",
        "sql",
        "sql_of_json",
        "wanted",
    )

    def __init__(
        self, statement: ClauseElement, dialect: Dialect, names: Sequence[str] | None, *, is_for_many: bool
    ) -> None:
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
        self.required = tuple(dict.fromkeys(name for name, _, _ in parameters if name is not None))
        self.wanted: Callable[[Mapping[str, Any]], Any] = itemgetter(*self.required) if self.required else lambda _: ()
        """What it is run with, of the values by name."""
        self.fixed = {name: fixed for name, (own, _, fixed) in zip(names_of, parameters, strict=True) if own is None}
        self.sql_of_json = ""
        """Of PostgreSQL: for many rows; see `many_rows`."""
        if dialect.name == "postgresql" and isinstance(statement, Insert) and isinstance(statement.table, Table):
            self.sql_of_json = many_rows.from_json(statement.table, names_of, dialect)
        elif dialect.name == "postgresql" and is_for_many:
            write = many_rows.looking if isinstance(statement, Select) else many_rows.changing
            self.sql_of_json = write(self.sql, _types(compiled, self.required, dialect))
        exported = _exported(statement)
        self.columns = tuple(column.key or column.name for column in exported)
        self.binary = tuple(column.key or "" for column in exported if isinstance(column.type, LargeBinary))
        self.readers = _readers(exported, dialect)


def _readers(columns: Sequence[ColumnElement[Any]], dialect: Dialect) -> tuple[tuple[int, Process], ...]:
    """Place of a column -> what makes a value of what the driver gives."""
    found = (
        (place, one.type.dialect_impl(dialect).result_processor(dialect, None)) for place, one in enumerate(columns)
    )
    return tuple((place, process) for place, process in found if process is not None)


def _exported(statement: ClauseElement) -> list[ColumnElement[Any]]:
    """The columns of the rows that a statement gives."""
    if isinstance(statement, (Select, CompoundSelect)):
        return list(statement.selected_columns)
    return list(statement.exported_columns) if isinstance(statement, Update) else []


def _types(compiled: Any, names: Sequence[str], dialect: Dialect) -> dict[str, str]:
    """The types of parameters in the words of PostgreSQL."""
    stated, kind_of = many_rows.stated_types(compiled.string), dialect.type_compiler_instance.process
    return {name: stated.get(name) or kind_of(compiled.binds[name].type) for name in names}


_Parameter = tuple[str | None, Process | None, Any]


def _positional(parameters: Sequence[_Parameter]) -> Callable[[Mapping[str, Any]], list[Any]]:
    """What makes the driver's parameters of the values by name."""
    fixed = [fixed for _, _, fixed in parameters]
    places = [place for place, (name, _, _) in enumerate(parameters) if name is not None]
    names = [name for name, _, _ in parameters if name is not None]
    processes = [(place, process) for place, (_, process, _) in enumerate(parameters) if process is not None]
    take = itemgetter(*names) if len(names) == len(fixed) > 1 else None

    def given(values: Mapping[str, Any]) -> list[Any]:
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


def _named(parameters: Sequence[_Parameter], keys: Sequence[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
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
