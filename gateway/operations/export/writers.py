"""Rows to the bytes of a file: CSV (RFC 4180), newline-delimited JSON, Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import IO, Any, Final, Protocol

import orjson

from gateway.errors import ConfigError
from gateway.operations.export.column import Column, ColumnType

ROWS_OF_A_GROUP: Final = 50_000
"""Of a Parquet file: what is kept in memory until it is written."""
EXTRA: Final = "analytics"


class Format(StrEnum):
    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


class RowWriter(Protocol):
    """Writes rows to one file; `finish` writes what is left. Neither closes the file."""

    def write(self, rows: Sequence[Sequence[Any]]) -> None: ...

    def finish(self) -> None: ...


class CsvWriter:
    """Moments as `2021-01-05T09:30:00.000000Z`; nothing where there is no value."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._rows = csv.writer(self._text)
        self._rows.writerow([column.name for column in columns])

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows.writerows([_iso(value) if isinstance(value, datetime) else value for value in row] for row in rows)

    def finish(self) -> None:
        self._text.detach()


class NdjsonWriter:
    """An object for each row; null where there is no value."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        self._file = file
        self._names = [column.name for column in columns]

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._file.writelines(
            orjson.dumps(dict(zip(self._names, row, strict=True)), option=_JSON, default=_iso) for row in rows
        )

    def finish(self) -> None:
        self._file.flush()


_JSON: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME


class ParquetWriter:
    """Moments as timestamps of microseconds in UTC. Raises `ConfigError` without the extra that has pyarrow."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column]) -> None:
        pyarrow, parquet = _pyarrow()
        types = {
            ColumnType.TEXT: pyarrow.string(), ColumnType.WHOLE: pyarrow.int64(),
            ColumnType.SECONDS: pyarrow.float64(), ColumnType.MOMENT: pyarrow.timestamp("us", tz="UTC"),
        }  # fmt: skip
        self._pyarrow = pyarrow
        self._schema = pyarrow.schema([(column.name, types[column.type]) for column in columns])
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[Sequence[Any]] = []

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows.extend(rows)
        if len(self._rows) >= ROWS_OF_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        columns = [
            self._pyarrow.array([row[number] for row in self._rows], field.type)
            for number, field in enumerate(self._schema)
        ]
        self._writer.write_table(self._pyarrow.Table.from_arrays(columns, schema=self._schema))
        self._rows = []

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()


WRITERS: Final[Mapping[Format, Callable[[IO[bytes], Sequence[Column]], RowWriter]]] = {
    Format.PARQUET: ParquetWriter,
    Format.CSV: CsvWriter,
    Format.NDJSON: NdjsonWriter,
}


def check(form: Format) -> None:
    """Raise `ConfigError` where a format cannot be written here."""
    if form is Format.PARQUET:
        _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        cure = f"pip install 'imaging-gateway[{EXTRA}]', or --format csv or ndjson"
        raise ConfigError([f"--format parquet needs the extra {EXTRA}: {cure}"]) from error
    return pyarrow, parquet


def _iso(moment: Any) -> str:
    written: str = moment.isoformat(timespec="microseconds")
    return written.removesuffix("+00:00") + "Z"
