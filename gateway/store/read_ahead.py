"""What the units of one transaction will look for and read, looked for at once.

Which keys a message asks for is known when it has been read. All that wait for the writer are held by one statement
(PostgreSQL) and looked for by one; what is absent is noted (`absences`). What instances and performed steps read is
known before they run too: each kind of read is one statement for all of them, and its rows are kept (`foreseen`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, partial
from itertools import chain, count
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from gateway.store import foreseen, many_rows, pending
from gateway.store.absences import Key, Kind
from gateway.store.foreseen import Read
from gateway.store.keys import Keys, forget_keys
from gateway.store.statement import Statement, execute
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
class Further:
    """What a unit will hold and read, as far as that follows from what it reads first."""

    locks: Sequence[str] = ()
    reads: Sequence[Read] = ()


@value_class
class Asked:
    """What one unit of the writer will look for, read and add, and what it will hold (`engine.lock`)."""

    keys: Sequence[Key]
    """Looked for, and noted where they are absent."""
    locks: Callable[[], Iterable[str]]
    reads: Callable[[], Sequence[Read]] = tuple
    """What it reads in any case (`foreseen`)."""
    further: Callable[[Connection], Further] | None = None
    """What it reads then: called when the first reads are known, and reads nothing else."""
    adds: Sequence[str] = ()
    """Tables to which it adds a row, beside those of messages."""


def asked(keys: Sequence[Key], locks: Callable[[], Iterable[str]]) -> Asked | None:
    """The keys of a unit; None where they are not to be looked for beside those of others: a database refuses what
    they hold, or they are too long."""
    return Asked(keys, locks) if is_plain("".join(chain.from_iterable(keys))) else None


def is_plain(text: str) -> bool:
    """Whether a text that a unit looks by is not too long, and no database refuses it."""
    return len(text) <= MOST_CHARACTERS and "\0" not in text and _is_unicode(text)


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
    """Begin a transaction of the writer: hold `keys`, and what `units` will hold, look for what they ask, and read what
    they read (`foreseen.kept`). `keys` None: units wait for each key as it comes, and look for themselves. Raises
    `Contended`."""
    if keys is None:
        forget_keys(connection)
        return Ahead()
    held = Keys(connection, keys)
    if not units:
        return Ahead()
    return _looked(connection, held, units)


def _looked(connection: Connection, held: Keys, units: Sequence[Asked]) -> Ahead:
    is_alone = len(units) == 1 and connection.dialect.name == "sqlite"
    # Alone, and without round trips, a unit reads by itself what it reads anyway.
    reading = () if is_alone else units
    adds = Counter(chain.from_iterable([unit.adds for unit in reading]))
    reads = [read for unit in reading for read in unit.reads()]
    keys = (key for unit in units for key in unit.locks())
    absent, row_keys = held.begin_with(connection, keys, partial(_look, connection, units, adds, reads))()
    further = [unit.further(connection) for unit in reading if unit.further is not None]
    reads = [read for one in further for read in one.reads]
    if reads:
        held.begin_with(
            connection, (key for one in further for key in one.locks), partial(_look, connection, (), {}, reads)
        )()
    return Ahead(absent, row_keys)


_Found = tuple[Collection[Key], Mapping[str, Iterator[int]]]
"""Keys that are absent, and keys of rows to come."""


def _look(
    connection: Connection, units: Sequence[Asked], adds: Mapping[str, int], reads: Iterable[Read]
) -> Callable[[], _Found]:
    """Ask the database; what is given is called once the round trip has ended, and keeps what was read."""
    form = _FORMS[connection.dialect.name]
    absent = set(chain.from_iterable([unit.keys for unit in units]))
    number = sum(1 for unit in units if unit.keys)
    keys: dict[Kind, list[Key]] = {kind: [] for kind in _CONDITIONS}
    for key in absent:
        keys[key[0]].append(key)
    found = execute(connection, form.look(), _as_json(keys, form.values_of) | {"units": number}) if absent else None
    read = form.read(connection, dict(_by_statement(reads)), adds)

    def ended() -> _Found:
        row_keys: dict[str, list[int]] = {}
        for name, number in found.fetchall() if found else ():
            if name in keys:
                absent.discard(keys[name][number])
            else:
                row_keys.setdefault(name, []).append(number)
        row_keys |= read()
        return absent, {table: form.follow(numbers) for table, numbers in row_keys.items()}

    return ended


_Wanted = Mapping[Statement, Sequence[Mapping[str, Any]]]
_Given = Mapping[str, list[int]]
"""Table -> keys."""


def _read_of_sqlite(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], _Given]:
    for statement, many in reads.items():
        for values in many:
            foreseen.note(connection, statement, values, statement.found(connection, values))
    given = execute(connection, _highest(tuple(adds))).fetchall() if adds else ()
    return lambda: {table: [number] for table, number in given}


def _read_of_postgresql(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], _Given]:
    # A statement that waits for a row sees all others as they were before.
    first = {statement: many for statement, many in reads.items() if statement.holds_others}
    read = _read_at_once(connection, first, {}) if first else dict
    read_others = _read_at_once(connection, {one: many for one, many in reads.items() if one not in first}, adds)
    return lambda: {**read(), **read_others()}


def _read_at_once(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], _Given]:
    statements, tables = list(reads), list(adds)
    looks = [statement.look(connection, many) for statement, many in reads.items()]
    cursor = execute(connection, *many_rows.together(looks, adds)) if looks or adds else None

    def ended() -> _Given:
        given: dict[str, list[int]] = {}
        rows: dict[tuple[int, int], list[Any]] = {
            (place, number): [] for place, look in enumerate(looks) for number in range(1, len(look.rows) + 1)
        }
        for place, number, found in cursor.fetchall() if cursor else ():
            if place < 0:
                given.setdefault(tables[number], []).append(int(found))
            else:
                rows[place, number].append(many_rows.read(looks[place], found))
        for (place, number), of_values in rows.items():
            statement = statements[place]
            foreseen.note(connection, statement, reads[statement][number - 1], of_values)
        return given

    return ended


def _by_statement(reads: Iterable[Read]) -> Iterator[tuple[Statement, Sequence[Mapping[str, Any]]]]:
    """What each statement is run with, each value once; in one order, for rows may be held."""
    wanted: dict[Statement, dict[tuple[Any, ...], Mapping[str, Any]]] = {}
    for statement, values in reads:
        wanted.setdefault(statement, {})[tuple(values.values())] = values
    for statement, many in wanted.items():
        yield statement, [many[key] for key in sorted(many)]


def _name(kind: Kind) -> str:
    return kind.replace(" ", "_")


@cache
def _sqlite() -> str:
    found = " UNION ALL ".join(
        f"SELECT '{kind}', k.number FROM (SELECT key AS number, {_values(kind)} FROM json_each(:{_name(kind)})) AS k"
        f" WHERE EXISTS ({condition})"
        for kind, condition in _CONDITIONS.items()
    )
    return f"{found} UNION ALL {_highest(tuple(_TABLES))}"


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


@cache
def _highest(tables: Sequence[str]) -> str:
    return " UNION ALL ".join(f"SELECT '{table}', coalesce(max(id), 0) FROM {table}" for table in tables)


_ValuesOf = Callable[[Kind, Sequence[Key]], Sequence[Any]]


@value_class
class _Form:
    """How a database is asked."""

    look: Callable[[], str]
    """The statement that finds which keys are there, and gives keys of rows of messages."""
    values_of: _ValuesOf
    """How that takes the keys of a kind."""
    read: Callable[[Connection, _Wanted, Mapping[str, int]], Callable[[], _Given]]
    """Reads beforehand, and gives keys of rows of other tables."""
    follow: Callable[[Sequence[int]], Iterator[int]]
    """The keys of rows from what was found for a table."""


_FORMS: Final[Mapping[str, _Form]] = {
    "sqlite": _Form(_sqlite, _texts_if_single, _read_of_sqlite, _after),
    "postgresql": _Form(_postgresql, lambda _kind, some: some, _read_of_postgresql, iter),
}
