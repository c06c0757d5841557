"""Runs of reconcile: one at a time over all gateways on a database, with what the last have shown."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.errors import Conflict
from gateway.store.engine import lock
from gateway.store.schema import reconciliations

KEPT_ROWS: Final = 100
LEASE_MICROS: Final = 300 * 1_000_000
"""A run of which nothing was noted for so long has no process any more."""


def begin(connection: Connection, holder: str, *, now: int, outcome: dict[str, Any]) -> int:
    """Begin a run; its row. Raises `Conflict` while a run of another holder is under way."""
    lock(connection, "reconcile")
    for row in connection.execute(select(reconciliations).where(reconciliations.c.ended_at.is_(None))).all():
        if row.lease_until > now:
            raise Conflict("another process compares archive, gateway and EHRs", place="reconcile")
        gone = {"ended_at": row.lease_until, "failure": "its process ended"}
        connection.execute(update(reconciliations).where(reconciliations.c.id == row.id).values(**gone))
    values = {"begun_at": now, "holder": holder, "lease_until": now + LEASE_MICROS, "outcome": outcome}
    key = connection.execute(insert(reconciliations), values).inserted_primary_key
    assert key is not None
    connection.execute(delete(reconciliations).where(reconciliations.c.id <= key[0] - KEPT_ROWS))
    return int(key[0])


def note(
    connection: Connection, run: int, holder: str, *, now: int, outcome: dict[str, Any], failure: str | None = None
) -> None:
    """Note how far a run is; with `failure` that it has ended, '' for a run that came to its end. Raises `Conflict`
    when another process has taken its place."""
    values: dict[str, Any] = {"lease_until": now + LEASE_MICROS, "outcome": outcome}
    if failure is not None:
        values |= {"ended_at": now, "failure": failure}
    is_ours = (reconciliations.c.id == run, reconciliations.c.holder == holder, reconciliations.c.ended_at.is_(None))
    if not connection.execute(update(reconciliations).where(*is_ours).values(**values)).rowcount:
        raise Conflict("another process has taken over", place="reconcile")


def last(connection: Connection) -> dict[str, Any] | None:
    """The newest run; None: there was none."""
    newest = select(reconciliations).order_by(reconciliations.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return dict(row) if row else None
