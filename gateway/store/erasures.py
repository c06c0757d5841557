"""Erasures of patients: what is looked for while one goes on, and who wanted it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from gateway.store.schema import erasures


def begin(
    connection: Connection, *, pseudonym: str, targets: Mapping[str, Any], person: str, note: str, now: int
) -> int:
    """Note that a patient is to be erased; returns the row."""
    values = {
        "pseudonym": pseudonym, "targets": targets, "person": person, "note": note, "begun_at": now, "deleted": {},
    }  # fmt: skip
    key = connection.execute(insert(erasures), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def note(
    connection: Connection, row: int, *, targets: Mapping[str, Any], deleted: Mapping[str, int], ended_at: int | None
) -> None:
    """Note what was deleted so far; `ended_at` with empty `targets`: all is."""
    values = {"targets": targets, "deleted": deleted, "ended_at": ended_at}
    connection.execute(update(erasures).where(erasures.c.id == row).values(**values))


def unfinished(connection: Connection, *, limit: int = 100) -> list[dict[str, Any]]:
    """Erasures that have not ended, the oldest first."""
    wanted = select(erasures).where(erasures.c.ended_at.is_(None)).order_by(erasures.c.id).limit(limit)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def count_unfinished(connection: Connection) -> int:
    """How many erasures have not ended."""
    wanted = select(func.count()).select_from(erasures).where(erasures.c.ended_at.is_(None))
    return int(connection.execute(wanted).scalar_one())
