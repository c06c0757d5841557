"""What an export holds, as an analyst's program reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from gateway.operations.export.columns import TABLES

READ = {"csv": "read_csv('{}', all_varchar = true)", "ndjson": "read_json('{}')", "parquet": "read_parquet('{}')"}


def rows_of(folder: Path, table: str, form: str) -> list[dict[str, Any]]:
    """The rows of a table, in the order of the file."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return _rows(connection, folder, table, form)


def _rows(connection: Any, folder: Path, table: str, form: str) -> list[dict[str, Any]]:
    found = connection.execute(f"SELECT * FROM {READ[form].format(folder / f'{table}.{form}')}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def all_cells(folder: Path, form: str) -> list[str]:
    """Every value of every table, as text."""
    with duckdb.connect() as connection:
        rows = [row for table in TABLES for row in _rows(connection, folder, table, form)]
    return [str(value) for row in rows for value in row.values() if value is not None]


def all_bytes(folder: Path) -> bytes:
    """Every file, one behind the other."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.iterdir()))
