"""A database copied to another, from SQLite to PostgreSQL when a site grows: every row arrives, or none does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, Engine, Table, Text, func, inspect, select, text, type_coerce

from gateway.errors import ConfigError
from gateway.store import migrations
from gateway.store.engine import begin_reading
from gateway.store.schema import Json, metadata

BATCH: Final = 1_000
REPLACEMENT: Final = "\ufffd"

Progress = Callable[[str, int, int], None]
"""Table, rows of it so far, rows that it has."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy whose rows were counted."""

    rows: dict[str, int]
    """By table."""
    replaced: int
    """Texts in which the character NUL, which PostgreSQL does not keep, became U+FFFD."""


class _Rows:
    """Rows of a table as the other database takes them."""

    def __init__(self, table: Table) -> None:
        self._texts = [number for number, column in enumerate(table.c) if isinstance(column.type, Text | Json)]
        self.replaced = 0

    def taken(self, rows: Iterable[Any]) -> Iterator[list[Any]]:
        for row in rows:
            values = list(row)
            for number in self._texts:
                if values[number] is not None and "\0" in values[number]:
                    values[number] = values[number].replace("\0", REPLACEMENT)
                    self.replaced += 1
            yield values


def copy(source: Engine, target: Engine, *, on_progress: Progress = lambda table, done, whole: None) -> Copied:
    """Copy all rows of `source`, an SQLite file that nobody writes to, into the PostgreSQL database `target`.

    A target without tables gets them. The rows are counted on both sides before anything of them is committed. Raises
    `ConfigError` for databases of other schemas or kinds, and for a target that holds rows.
    """
    if (source.dialect.name, target.dialect.name) != ("sqlite", "postgresql"):
        raise ConfigError(["a copy goes from an SQLite file to PostgreSQL: sqlite:///FILE postgresql://..."])
    with source.connect() as fresh:
        reading = begin_reading(fresh)
        if (revision := migrations.current(reading)) != migrations.newest():
            raise ConfigError([f"the schema of the source is {revision}, {migrations.newest()} is needed: upgrade it"])
        migrations.prepare(target)
        with target.begin() as writing:
            _refuse_rows(writing)
            return _copy(reading, writing, on_progress)


def _refuse_rows(target: Connection) -> None:
    names = set(inspect(target).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in names and target.execute(select(1).select_from(table).limit(1)).first() is not None:
            raise ConfigError([f"the target is not empty: {table.name} has rows; give it a new database"])


def _copy(source: Connection, target: Connection, on_progress: Progress) -> Copied:
    counts: dict[str, int] = {}
    replaced = 0
    for table in metadata.sorted_tables:
        rows = _Rows(table)
        whole = _count(source, table)
        done = 0
        for page in _pages(source, table):
            _write(target, table, rows.taken(page))
            done += len(page)
            on_progress(table.name, done, whole)
        counts[table.name] = _count(target, table)
        if counts[table.name] != whole:
            raise ConfigError([f"{table.name} has {whole} rows, and {counts[table.name]} arrived; nothing was kept"])
        replaced += rows.replaced
        _number_on(target, table)
    return Copied(counts, replaced)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _pages(source: Connection, table: Table) -> Iterator[list[Any]]:
    """Rows in the order of their key, JSON as the text that it is kept as."""
    columns = [_plain(column) for column in table.c]
    wanted = select(*columns).order_by(*table.primary_key.columns)
    result = source.execution_options(yield_per=BATCH).execute(wanted)
    for page in result.partitions():
        yield list(page)


def _plain(column: Column[Any]) -> Any:
    return type_coerce(column, Text).label(column.name) if isinstance(column.type, Json) else column


def _write(target: Connection, table: Table, rows: Iterable[list[Any]]) -> None:
    """By PostgreSQL's COPY, the fastest way in. Raises `ConfigError`."""
    import psycopg

    names = ", ".join(f'"{column.name}"' for column in table.c)
    driver: Any = target.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as into:
            for row in rows:
                into.write_row(row)
    except psycopg.Error as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigError([f"{table.name}: PostgreSQL refuses a row, nothing was copied: {reason}"]) from error


_SEQUENCE: Final = text("SELECT pg_get_serial_sequence(:table, 'id')")
_NUMBER_ON: Final = text("SELECT setval(CAST(:sequence AS regclass), :last)")


def _number_on(target: Connection, table: Table) -> None:
    """Let the next row get an id behind those that were copied."""
    if "id" not in table.c:
        return
    sequence = target.execute(_SEQUENCE, {"table": f'"{table.name}"'}).scalar()
    last = target.execute(select(func.max(table.c.id))).scalar()
    if sequence is not None and last is not None:
        target.execute(_NUMBER_ON, {"sequence": sequence, "last": last})
