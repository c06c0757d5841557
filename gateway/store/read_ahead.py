"""What the messages of one transaction will look for, looked for at once and noted where it is absent.

Which keys a message asks for is known when it has been read. All that wait for the writer are held by one statement
(PostgreSQL) and looked for by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, partial
from itertools import chain, count
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from gateway.store import pending
from gateway.store.absences import Key, Kind
from gateway.store.keys import Keys, forget_keys
from gateway.store.statement import execute
from gateway.value_class import value_class

MOST_CHARACTERS: Final = 2_000
"""Of the keys of one message: who sends longer numbers has them looked for by themselves."""

_CONDITIONS: Final[Mapping[Kind, str]] = {
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


@value_class
class Asked:
    """What one unit of the writer will look for, and what it will hold (`engine.lock`)."""

    keys: Sequence[Key]
    locks: Callable[[], Iterable[str]]


def asked(keys: Sequence[Key], locks: Callable[[], Iterable[str]]) -> Asked | None:
    """The keys of a unit; None where they are not to be looked for beside those of others: a database refuses what
    they hold, or they are too long."""
    text = "".join(chain.from_iterable(keys))
    if len(text) > MOST_CHARACTERS or "\0" in text or not _is_unicode(text):
        return None
    return Asked(keys, locks)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@value_class
class Ahead:
    """What a transaction begins with."""

    absent: Collection[Key] = ()
    """Keys of which there is no row."""
    row_keys: Mapping[str, Iterator[int]] = field(default_factory=dict)
    """Table -> keys of the rows that will be added to the table."""


def begin(connection: Connection, keys: frozenset[str] | None, units: Sequence[Asked]) -> Ahead:
    """Begin a transaction of the writer: hold `keys`, and what `units` will hold, and look for what they ask. `keys`
    None: units wait for each key as it comes, and look for themselves. Raises `Contended`."""
    if keys is None:
        forget_keys(connection)
        return Ahead()
    held = Keys(connection, keys)
    if not units:
        return Ahead()
    return _looked(connection, held, units)


def _looked(connection: Connection, held: Keys, units: Sequence[Asked]) -> Ahead:
    keys: dict[Kind, list[Key]] = {kind: [] for kind in _CONDITIONS}
    absent = set(chain.from_iterable([unit.keys for unit in units]))
    for key in absent:
        keys[key[0]].append(key)
    sql, values_of, follow = _FORMS[connection.dialect.name]
    look = partial(execute, connection, sql(), _as_json(keys, values_of) | {"units": len(units)})
    if connection.dialect.name == "postgresql":
        found = held.begin_with(connection, {key for unit in units for key in unit.locks()}, look)
    else:
        found = look()
    row_keys: dict[str, list[int]] = {}
    for name, number in found.fetchall():
        if name in keys:
            absent.discard(keys[name][number])
        else:
            row_keys.setdefault(name, []).append(number)
    return Ahead(absent, {table: follow(numbers) for table, numbers in row_keys.items()})


def _name(kind: Kind) -> str:
    return kind.replace(" ", "_")


@cache
def _sqlite() -> str:
    return " UNION ALL ".join(
        f"SELECT '{kind}', k.number FROM (SELECT key AS number, {_values(kind)} FROM json_each(:{_name(kind)})) AS k"
        f" WHERE EXISTS ({condition})"
        for kind, condition in _CONDITIONS.items()
    ) + "".join(f" UNION ALL SELECT '{table}', coalesce(max(id), 0) FROM {table}" for table in _TABLES)


def _values(kind: Kind) -> str:
    return "json_extract(value, '$[1]') AS a, json_extract(value, '$[2]') AS b" if kind in _OF_TWO else "value AS a"


def _texts_if_single(kind: Kind, some: Sequence[Key]) -> Sequence[Any]:
    # SQLite reads a text of a list at once, and parses each list within one for each of its values.
    return some if kind in _OF_TWO else [key[1] for key in some]


def _after(highest: Sequence[int]) -> Iterator[int]:
    return count(highest[0] + 1)


def _as_json(keys: Mapping[Kind, Sequence[Key]], values_of: _ValuesOf) -> dict[str, Any]:
    return {_name(kind): orjson.dumps(values_of(kind, some)).decode() for kind, some in keys.items()}


@cache
def _postgresql() -> str:
    # LATERAL with LIMIT: an index is asked for each key, however small the tables were when this was planned.
    return " UNION ALL ".join(
        f"SELECT '{kind}', k.number FROM (SELECT number - 1 AS number, value ->> 1 AS a, value ->> 2 AS b"
        f" FROM json_array_elements(CAST(%({_name(kind)})s AS json)) WITH ORDINALITY AS t(value, number)) AS k,"
        f" LATERAL ({condition} LIMIT 1) AS row"
        for kind, condition in _CONDITIONS.items()
    ) + "".join(
        f" UNION ALL SELECT '{table}', nextval(pg_get_serial_sequence('{table}', 'id'))"
        f" FROM generate_series(1, {number} * %(units)s)"
        for table, number in _TABLES.items()
    )


_ValuesOf = Callable[[Kind, Sequence[Key]], Sequence[Any]]
_Form = tuple[Callable[[], str], _ValuesOf, Callable[[Sequence[int]], Iterator[int]]]
"""The statement, how it takes the keys of a kind, and the keys of rows from what it gives for a table."""
_FORMS: Final[Mapping[str, _Form]] = {
    "sqlite": (_sqlite, _texts_if_single, _after),
    "postgresql": (_postgresql, lambda _kind, some: some, iter),
}
