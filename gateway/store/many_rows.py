"""Statements for many rows: of PostgreSQL from one text, of SQLite from all their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Dialect, Table

from gateway.store.chunks import chunks

MOST_OF_JSON: Final = 64
"""Rows in one text; a row may be of more than 64 KiB."""
MOST_ROWS: Final = 16
"""In one INSERT of SQLite, which takes a few hundred values at least; its driver keeps a statement for each number."""
_PARAMETER: Final = re.compile(r"%\((\w+)\)s(?:::(\w+))?")
"""As SQLAlchemy writes parameters for psycopg, the first time with its type."""
_INSERTED: Final = re.compile(r" VALUES \((.*?)\)( ON CONFLICT|$)")


def from_json(table: Table, names: Sequence[str], dialect: Dialect) -> str:
    """An INSERT into these columns of the rows of a JSON text, `rows`, however many they are.

    psycopg converts each value of each row by itself, and PostgreSQL plans, binds and runs an INSERT for each row. One
    text is converted at once, and planned once.
    """
    prepare, types = dialect.identifier_preparer, dialect.type_compiler_instance
    quoted = [prepare.format_column(table.c[name]) for name in names]
    typed = [f"{one} {types.process(table.c[name].type)}" for one, name in zip(quoted, names, strict=True)]
    return (
        f"INSERT INTO {prepare.format_table(table)} ({', '.join(quoted)}) SELECT {', '.join(quoted)}"
        f" FROM json_to_recordset(CAST(%(rows)s AS json)) AS rows({', '.join(typed)})"
    )


def changing(sql: str, types: Mapping[str, str]) -> str:
    """An UPDATE, a DELETE or an INSERT with ON CONFLICT of PostgreSQL as one for the rows of a JSON text, `rows`;
    `types`: of the parameters that each row has."""
    typed = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    rows = f"json_to_recordset(CAST(%(rows)s AS json)) AS rows({typed})"
    sql = _replaced(sql, types, lambda name: f'rows."{name}"')
    if sql.startswith("INSERT"):
        return _INSERTED.sub(lambda found: f" SELECT {found[1]} FROM {rows}{found[2]}", sql)
    changes, where, conditions = sql.partition(" WHERE ")
    return f"{changes} {'USING' if sql.startswith('DELETE') else 'FROM'} {rows}{where}{conditions}"


def looking(sql: str, types: Mapping[str, str]) -> str:
    """A SELECT of PostgreSQL as one that is run for each of the arrays of a JSON text, `rows`, which hold the values of
    `types`; each of its rows is the number of the array, from 1 on, and an object. Rows keep their order within it."""
    places = {name: place for place, name in enumerate(types)}
    one = _replaced(sql, types, lambda name: f"CAST(k.value ->> {places[name]} AS {types[name]})")
    keys = "json_array_elements(CAST(%(rows)s AS json)) WITH ORDINALITY AS k(value, number)"
    return f"SELECT k.number, CAST(row_to_json(found) AS text) FROM {keys}, LATERAL ({one}) AS found"


class Look(NamedTuple):
    """A SELECT that is run for many values as a part of a statement that looks for more."""

    sql: str
    """As `looking` gives it."""
    fixed: Mapping[str, Any]
    """Values of its own."""
    rows: Sequence[Sequence[Any]]
    """The values for which it is run."""
    columns: Sequence[str]
    binary: Sequence[str]
    """Columns that hold bytes."""


def together(looks: Sequence[Look], adds: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
    """One statement of PostgreSQL for all `looks`, and for so many keys of rows to come of each table; with its values.

    Each of its rows is the place of the look, the number of its value, and what was found: an object, or a key. Each
    statement costs the client more than the server, whether its answer is waited for or not.
    """
    given: dict[str, Any] = {}
    for place, look in enumerate(looks):
        given |= {f"{name}_{place}": value for name, value in look.fixed.items()}
        given[f"rows_{place}"] = orjson.dumps(look.rows).decode()
    given |= {f"number_{table}": number for table, number in adds.items()}
    return _together(tuple(look.sql for look in looks), tuple(adds)), given


@lru_cache(maxsize=64)
def _together(looks: Sequence[str], tables: Sequence[str]) -> str:
    parts = [
        f"SELECT {place}, {_PARAMETER.sub(lambda found: _named(found, place), sql).removeprefix('SELECT ')}"  # noqa: B023
        for place, sql in enumerate(looks)
    ]
    parts += [
        f"SELECT -1, {number}, CAST({next_key(table)} AS text) FROM generate_series(1, %(number_{table})s)"
        for number, table in enumerate(tables)
    ]
    return " UNION ALL ".join(parts)


def next_key(table: str) -> str:
    """The key of a row to come, in a statement for many of PostgreSQL, which looks for the sequence once."""
    return f"nextval((SELECT CAST(pg_get_serial_sequence('{table}', 'id') AS regclass)))"


def _named(found: re.Match[str], place: int) -> str:
    kind = f"::{found[2]}" if found[2] else ""
    return f"%({found[1]}_{place})s{kind}"


def read(look: Look, found: str) -> tuple[Any, ...]:
    """A row of a look, as the driver would give it alone."""
    values = orjson.loads(found)
    for name in look.binary:
        if values[name] is not None:
            values[name] = bytes.fromhex(values[name][2:])
    return tuple([values[name] for name in look.columns])


def in_one(calls: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[str, dict[str, Any]]:
    """One statement of PostgreSQL for several that write different tables, or different rows; none sees what another
    writes."""
    given = {f"{name}_{place}": value for place, (_, values) in enumerate(calls) for name, value in values.items()}
    return _in_one(tuple(sql for sql, _ in calls)), given


@lru_cache(maxsize=64)
def _in_one(texts: Sequence[str]) -> str:
    *first, last = [
        _PARAMETER.sub(lambda found: _named(found, place), sql)  # noqa: B023
        for place, sql in enumerate(texts)
    ]
    within = ", ".join(f"part_{place} AS ({sql})" for place, sql in enumerate(first))
    return f"WITH {within} {last}"


def stated_types(sql: str) -> dict[str, str]:
    """The types that a statement of PostgreSQL states of its parameters."""
    return {name: kind for name, kind in _PARAMETER.findall(sql) if kind}


def _replaced(sql: str, given: Collection[str], written: Callable[[str], str]) -> str:
    return _PARAMETER.sub(lambda found: written(found[1]) if found[1] in given else found[0], sql)


def as_json(rows: Sequence[object]) -> Iterator[str]:
    """Texts of rows, each a mapping from columns to values, for `from_json`."""
    for some in chunks(rows, MOST_OF_JSON):
        yield orjson.dumps(some, default=_hexadecimal).decode()


def _hexadecimal(value: object) -> str:
    """Bytes as PostgreSQL reads them from a text."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(type(value).__name__)
    return f"\\x{value.hex()}"


def portions(rows: int) -> Iterator[tuple[int, int]]:
    """(first, size) of parts of so many rows: as few as can be, for each is a call that gives up the interpreter."""
    return ((first, min(MOST_ROWS, rows - first)) for first in range(0, rows, MOST_ROWS))


@lru_cache(maxsize=256)
def of_size(sql: str, size: int) -> str:
    """An INSERT of one row as an INSERT of `size` rows."""
    head, values, row = sql.rpartition(" VALUES ")
    return f"{head}{values}{', '.join([row] * size)}"
