"""Keys that a transaction in PostgreSQL holds until it ends, so that nobody else changes the rows under them.

Two transactions that wait for keys of one another stand still until PostgreSQL ends one of them, after
`deadlock_timeout`, a second. So a transaction of the writer does not wait for a key while it holds others: it is taken
back and begun anew, with all keys that its units have asked for taken before their work, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from gateway.store.carried import carried, carrying
from gateway.store.statement import execute

_WAIT: Final = "SELECT pg_advisory_xact_lock(hashtextextended(k, 0)) FROM unnest(CAST(%(keys)s AS text[])) AS t(k)"
_TRY: Final = (
    "SELECT bool_and(pg_try_advisory_xact_lock(hashtextextended(k, 0))) FROM unnest(CAST(%(keys)s AS text[])) AS t(k)"
)
_NAME: Final = "keys"


class Contended(BaseException):
    """Another transaction holds a key. Not an `Exception`: no unit may take it for a fault of its own and go on."""

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

    def begin_with(self, connection: Connection, keys: Iterable[str]) -> None:
        """Hold `keys` from the beginning of the transaction on, before any unit works. Raises `Contended`."""
        self.take(connection, keys)
        self._held |= set(keys)

    def take(self, connection: Connection, keys: Iterable[str]) -> None:
        """Hold `keys` too. Raises `Contended`."""
        # Not remembered as held: a unit that is taken back lets go of what it took.
        missing = set(keys) - self._held
        if not missing:
            return
        self._asked |= missing
        if not execute(connection, _TRY, {"keys": sorted(missing)}).fetchone()[0]:
            raise Contended(frozenset(self._asked))


def keys_of(connection: Connection) -> Keys | None:
    """The keys of the writer's transaction; None where each key is waited for."""
    keys: Keys | None = carried(connection).get(_NAME)
    return keys


def forget_keys(connection: Connection) -> None:
    """Let the next transaction of `connection` wait for each key."""
    carrying(connection).pop(_NAME, None)


def wait_for(connection: Connection, keys: Iterable[str]) -> None:
    """Hold `keys`, taken in the order of their names."""
    execute(connection, _WAIT, {"keys": sorted(keys)})
