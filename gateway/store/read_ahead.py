"""What the units of one transaction will look for and read, looked for at once.

Which keys a message asks for is known when it has been read. All that wait for the writer are held by one statement
(PostgreSQL) and looked for by one; what is absent is noted (`absences`). What instances and performed steps read is
known before they run too: each kind of read is one statement for all of them, and its rows are kept (`foreseen`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from itertools import chain, count
from typing import Any, Final

from sqlalchemy import Connection

from gateway.store import foreseen, key_look, many_rows
from gateway.store.absences import Key
from gateway.store.foreseen import Read
from gateway.store.key_look import Given, Looked
from gateway.store.keys import Keys, forget_keys
from gateway.store.statement import Statement, execute
from gateway.value_class import value_class

MOST_CHARACTERS: Final = 2_000
"""Of the keys of one message: who sends longer numbers has them looked for by themselves."""


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
    """The table of each row that it adds, beside those of messages."""


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
    # Alone, and without round trips, a unit reads by itself what it reads anyway, and adds single rows at once.
    [first, *others] = units
    is_alone = not others and connection.dialect.name == "sqlite" and len(set(first.adds)) == len(first.adds)
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
    wanted = list(dict.fromkeys(chain.from_iterable([unit.keys for unit in units])))
    look = form.look(connection, wanted, sum(1 for unit in units if unit.keys)) if wanted else None
    read = form.read(connection, dict(_by_statement(reads)), adds)

    def ended() -> _Found:
        there, given = look() if look is not None else ((), {})
        row_keys = {table: form.follow(numbers) for table, numbers in {**given, **read()}.items()}
        return set(wanted).difference(there), row_keys

    return ended


_Wanted = Mapping[Statement, Sequence[Mapping[str, Any]]]


def _read_of_sqlite(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], Given]:
    for statement, many in reads.items():
        for values in many:
            foreseen.note(connection, statement, values, statement.found(connection, values))
    given = execute(connection, key_look.highest(tuple(adds))).fetchall() if adds else ()
    return lambda: {table: [number] for table, number in given}


def _read_of_postgresql(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], Given]:
    # A statement that waits for a row sees all others as they were before.
    first = {statement: many for statement, many in reads.items() if statement.holds_others}
    read = _read_at_once(connection, first, {}) if first else dict
    read_others = _read_at_once(connection, {one: many for one, many in reads.items() if one not in first}, adds)
    return lambda: {**read(), **read_others()}


def _read_at_once(connection: Connection, reads: _Wanted, adds: Mapping[str, int]) -> Callable[[], Given]:
    statements, tables = list(reads), list(adds)
    looks = [statement.look(connection, many) for statement, many in reads.items()]
    cursor = execute(connection, *many_rows.together(looks, adds)) if looks or adds else None

    def ended() -> Given:
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


def _after(highest: Sequence[int]) -> Iterator[int]:
    return count(highest[0] + 1)


@value_class
class _Form:
    """How a database is asked."""

    look: Callable[[Connection, Sequence[Key], int], Looked]
    """Finds which keys are there, and gives keys of rows of so many units of messages."""
    read: Callable[[Connection, _Wanted, Mapping[str, int]], Callable[[], Given]]
    """Reads beforehand, and gives keys of rows of other tables."""
    follow: Callable[[Sequence[int]], Iterator[int]]
    """The keys of rows from what was found for a table."""


_FORMS: Final[Mapping[str, _Form]] = {
    "sqlite": _Form(key_look.in_sqlite, _read_of_sqlite, _after),
    "postgresql": _Form(key_look.in_postgresql, _read_of_postgresql, iter),
}
