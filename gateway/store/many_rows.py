"""INSERTs of many rows: of PostgreSQL from one text, of SQLite from all their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import orjson
from sqlalchemy import Dialect, Table

MOST_OF_JSON: Final = 64
"""Rows in one text; a row may be of more than 64 KiB."""
MOST_ROWS: Final = 16
"""In one INSERT of SQLite, which takes a few hundred values at least; its driver keeps a statement for each number."""


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


def as_json(rows: Sequence[object]) -> Iterator[str]:
    """Texts of rows, each a mapping from columns to values, for `from_json`."""
    for first in range(0, len(rows), MOST_OF_JSON):
        yield orjson.dumps(rows[first : first + MOST_OF_JSON], default=_hexadecimal).decode()


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
