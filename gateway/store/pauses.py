"""Receivers that are paused: the worker claims nothing of theirs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from gateway.records.receiver import Pause
from gateway.store.engine import lock
from gateway.store.schema import pauses
from gateway.store.writer import announce


def listing(connection: Connection) -> dict[str, Pause]:
    """The pauses that are in force, by the name of the receiver."""
    rows = connection.execute(select(pauses)).all()
    return {row.receiver: Pause(row.receiver, row.since, row.person, row.note) for row in rows}


def begin(connection: Connection, wanted: Sequence[Pause]) -> list[str]:
    """Pause receivers; those that are paused already keep their note. Returns the names of the others."""
    lock(connection, *(f"pause|{one.receiver}" for one in wanted))
    held = listing(connection)
    fresh = [one for one in wanted if one.receiver not in held]
    for one in fresh:
        row = {"receiver": one.receiver, "since": one.since, "person": one.person, "note": one.note}
        connection.execute(insert(pauses), row)
    return [one.receiver for one in fresh]


def end(connection: Connection, receiver: str) -> bool:
    """Let the work of a receiver go on, at once. False: it was not paused."""
    ended = connection.execute(delete(pauses).where(pauses.c.receiver == receiver)).rowcount
    announce(connection)
    return bool(ended)
