"""Which keys of messages have a row, found by one statement, with keys for the rows that the messages will add."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, lru_cache
from itertools import count
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from gateway.store import pending
from gateway.store.absences import Key, Kind
from gateway.store.many_rows import next_key
from gateway.store.statement import execute

CONDITIONS: Final[Mapping[Kind, str]] = {
    "message": "SELECT 1 FROM messages WHERE sender = k.a AND control_id = k.b",
    "patient": "SELECT 1 FROM patients WHERE patient_id = k.a AND issuer = k.b",
    "study": "SELECT 1 FROM procedures WHERE study_uid = k.a"
    " UNION ALL SELECT 1 FROM orders WHERE study_uid = k.a AND study_uid <> ''",
    "filler": "SELECT 1 FROM orders WHERE filler = k.a",
    "placer": "SELECT 1 FROM orders WHERE placer = k.a",
    "accession": "SELECT 1 FROM orders WHERE accession = k.a",
    "early study": "SELECT 1 FROM studies WHERE study_uid = k.a"
    " UNION ALL SELECT 1 FROM former_uids WHERE study_uid = k.a"
    " UNION ALL SELECT 1 FROM unlinked_items WHERE study_uid = k.a",
    "early accession": "SELECT 1 FROM studies WHERE accession = k.a"
    " UNION ALL SELECT 1 FROM study_requests WHERE accession = k.a"
    " UNION ALL SELECT 1 FROM unlinked_items WHERE accession = k.a",
}
"""Kind -> what finds a row for the key `k`."""
_OF_TWO: Final = frozenset({"message", "patient"})
"""Kinds whose keys have two values."""
_TABLES: Final = {table.name: number for table, number in pending.KEYED.items()}
Given = Mapping[str, list[int]]
"""Table -> keys of rows to come (PostgreSQL), or the highest there is (SQLite)."""
_ValuesOf = Callable[[Kind, Sequence[Key]], Sequence[Any]]
"""How a database takes the keys of a kind."""
Looked = Callable[[], tuple[Collection[Key], Given]]
"""Gives, once the round trip has ended, the keys that are there, and those of rows to come."""


def in_sqlite(connection: Connection, wanted: Sequence[Key], _units: int) -> Looked:
    """Look for `wanted`."""
    kinds = [key[0] for key in wanted]
    if len(set(kinds)) < len(kinds):
        return _look_for_many(connection, wanted, _sqlite(), _texts_if_single, {})
    # At most one of each kind, as one message has them, takes no list. Its rows go at once: gathering them would cost
    # more than it saves.
    values = [value for key in wanted for value in (key[1:] if key[0] in _OF_TWO else key[1:2])]
    row = execute(connection, _of_single(tuple(kinds)), values).fetchone()
    return lambda: ([key for key, found in zip(wanted, row, strict=True) if found], {})


def in_postgresql(connection: Connection, wanted: Sequence[Key], units: int) -> Looked:
    """Look for `wanted`, and take keys for the rows of so many messages."""
    return _look_for_many(connection, wanted, _postgresql(), lambda _kind, some: some, {"units": units})


def _look_for_many(
    connection: Connection, wanted: Sequence[Key], sql: str, values_of: _ValuesOf, more: Mapping[str, Any]
) -> Looked:
    keys: dict[Kind, list[Key]] = {kind: [] for kind in CONDITIONS}
    for key in wanted:
        keys[key[0]].append(key)
    found = execute(connection, sql, {**_as_json(keys, values_of), **more})

    def looked() -> tuple[Collection[Key], Given]:
        there: list[Key] = []
        row_keys: dict[str, list[int]] = {}
        for name, number in found.fetchall():
            if name in keys:
                there.append(keys[name][number])
            else:
                row_keys.setdefault(name, []).append(number)
        return there, row_keys

    return looked


def _name(kind: Kind) -> str:
    return kind.replace(" ", "_")


@cache
def _sqlite() -> str:
    found = " UNION ALL ".join(
        f"SELECT '{kind}', k.number FROM (SELECT key AS number, {_values(kind)} FROM json_each(:{_name(kind)})) AS k"
        f" WHERE EXISTS ({condition})"
        for kind, condition in CONDITIONS.items()
    )
    return f"{found} UNION ALL {highest(tuple(_TABLES))}"


@lru_cache(maxsize=64)
def _of_single(kinds: Sequence[Kind]) -> str:
    numbers, found = count(1), []
    for kind in kinds:
        condition = CONDITIONS[kind].replace("k.a", f"?{next(numbers)}")
        found.append(f"EXISTS ({condition.replace('k.b', f'?{next(numbers)}') if kind in _OF_TWO else condition})")
    return f"SELECT {', '.join(found)}"


def _values(kind: Kind) -> str:
    return "json_extract(value, '$[1]') AS a, json_extract(value, '$[2]') AS b" if kind in _OF_TWO else "value AS a"


def _texts_if_single(kind: Kind, some: Sequence[Key]) -> Sequence[Any]:
    # SQLite reads a text of a list at once, and parses each list within one for each of its values.
    return some if kind in _OF_TWO else [key[1] for key in some]


def _as_json(keys: Mapping[Kind, Sequence[Key]], values_of: _ValuesOf) -> dict[str, Any]:
    return {_name(kind): orjson.dumps(values_of(kind, some)).decode() for kind, some in keys.items()}


@cache
def _postgresql() -> str:
    # LATERAL with LIMIT: an index is asked for each key, however small the tables were when this was planned.
    return " UNION ALL ".join(
        f"SELECT '{kind}', k.number FROM (SELECT number - 1 AS number, value ->> 1 AS a, value ->> 2 AS b"
        f" FROM json_array_elements(CAST(%({_name(kind)})s AS json)) WITH ORDINALITY AS t(value, number)) AS k,"
        f" LATERAL ({condition} LIMIT 1) AS row"
        for kind, condition in CONDITIONS.items()
    ) + "".join(
        f" UNION ALL SELECT '{table}', {next_key(table)} FROM generate_series(1, {number} * %(units)s)"
        for table, number in _TABLES.items()
    )


@cache
def highest(tables: Sequence[str]) -> str:
    """A statement for SQLite that gives each table with its highest key; 0 where the table is empty."""
    return " UNION ALL ".join(f"SELECT '{table}', coalesce(max(id), 0) FROM {table}" for table in tables)
