"""Keys that a transaction in PostgreSQL holds until it ends, so that nobody else changes the rows under them.

Two transactions that wait for keys of one another stand still until PostgreSQL ends one of them, after
`deadlock_timeout`, a second. So a transaction of the writer does not wait for a key while it holds others: it is taken
back and begun anew, with all keys that its units have asked for taken before their work, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Connection

from gateway.store.carried import carried, carrying
from gateway.store.driver import in_one_round_trip
from gateway.store.statement import execute

T = TypeVar("T")
_KEYS: Final = "FROM json_array_elements_text(CAST(%(keys)s AS json)) AS t(k)"
_WAIT: Final = f"SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) {_KEYS}"
_TRY: Final = f"SELECT bool_and(pg_try_advisory_xact_lock(hashtextextended(k, 0))) {_KEYS}"
_NAME: Final = "keys"


class Contended(BaseException):
    """Another transaction holds a key, or has removed a row that this one found. Not an `Exception`: no unit may take
    it for a fault of its own and go on."""

    def __init__(self, asked: frozenset[str]) -> None:
        super().__init__()
        self.asked = asked
        """All keys that the transaction has asked for so far."""


class Keys:
    """The keys of one transaction of the writer."""

    __slots__ = ("_asked", "_held")

    def __init__(self, connection: Connection, first: Iterable[str]) -> None:
        """Wait for the keys `first`, which makes the beginning of the transaction of `connection`."""
        self._held = frozenset(first)
        self._asked = set(self._held)
        if self._held:
            wait_for(connection, self._held)
        carrying(connection)[_NAME] = self

    def begin_with(self, connection: Connection, keys: Iterable[str], look: Callable[[], T]) -> T:
        """Hold `keys` from the beginning of the transaction on, before any unit works, and look by the same round trip.
        Gives what `look` gives, which runs behind them. SQLite: `look` alone. Raises `Contended`."""
        if connection.dialect.name != "postgresql":
            return look()
        missing = set(keys) - self._held
        with in_one_round_trip(connection):
            tried = self._try(connection, missing) if missing else None
            found = look()
        if tried is not None:
            self._check(tried)
        self._held |= missing
        return found

    def take(self, connection: Connection, keys: Iterable[str]) -> None:
        """Hold `keys` too. Raises `Contended`."""
        # Not remembered as held: a unit that is taken back lets go of what it took.
        missing = set(keys) - self._held
        if missing:
            self._check(self._try(connection, missing))

    @property
    def asked(self) -> frozenset[str]:
        """All that were asked for so far."""
        return frozenset(self._asked)

    def _try(self, connection: Connection, missing: set[str]) -> Any:
        self._asked |= missing
        return execute(connection, _TRY, _given(missing))

    def _check(self, tried: Any) -> None:
        # Of no keys at all the answer is NULL.
        if tried.fetchone()[0] is False:
            raise Contended(self.asked)


def keys_of(connection: Connection) -> Keys | None:
    """The keys of the writer's transaction; None where each key is waited for."""
    keys: Keys | None = carried(connection).get(_NAME)
    return keys


def begin_anew(connection: Connection) -> None:
    """Take the writer's transaction back and begin anew, with all keys that its units have asked for so far: a row that
    a unit had found was removed by another transaction before it could be held. Nothing in SQLite, where transactions
    are alone, nor in the last attempt, which waits for each key. Raises `Contended`."""
    keys = keys_of(connection) if connection.dialect.name == "postgresql" else None
    if keys is not None:
        raise Contended(keys.asked)


def forget_keys(connection: Connection) -> None:
    """Let the next transaction of `connection` wait for each key."""
    carrying(connection).pop(_NAME, None)


def wait_for(connection: Connection, keys: Iterable[str]) -> None:
    """Hold `keys`, taken in the order of their names."""
    execute(connection, _WAIT, _given(keys))


def _given(keys: Iterable[str]) -> dict[str, str]:
    return {"keys": orjson.dumps(sorted(keys)).decode()}
