"""Runs of retention: one at a time over all gateways on a database, with what each has done so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from gateway.errors import Conflict
from gateway.records.retention import RetentionKind, Tally
from gateway.store.engine import lock
from gateway.store.schema import retention_runs

KEPT_ROWS: Final = 100
LEASE_MICROS: Final = 120 * 1_000_000
"""A run of which nothing was noted for so long has no process any more."""
_KEY: Final = "retention"


def begin(connection: Connection, holder: str, *, now: int, bytes_before: int | None) -> int:
    """Begin a run; its row. Raises `Conflict` while a run of another holder is under way."""
    lock(connection, _KEY)
    for row in connection.execute(select(retention_runs).where(retention_runs.c.ended_at.is_(None))).all():
        if row.holder != holder and row.lease_until > now:
            raise Conflict("another process deletes by retention", place="retention")
        connection.execute(update(retention_runs).where(retention_runs.c.id == row.id).values(ended_at=now))
    values = {
        "begun_at": now, "holder": holder, "lease_until": now + LEASE_MICROS, "kind": "", "tallies": {},
        "bytes_before": bytes_before,
    }  # fmt: skip
    key = connection.execute(insert(retention_runs), values).inserted_primary_key
    assert key is not None
    connection.execute(delete(retention_runs).where(retention_runs.c.id <= key[0] - KEPT_ROWS))
    return int(key[0])


def note(
    connection: Connection,
    run: int,
    holder: str,
    *,
    now: int,
    kind: str,
    tallies: Mapping[RetentionKind, Tally],
    ended: bool = False,
    bytes_after: int | None = None,
) -> None:
    """Note how far a run is. Raises `Conflict` when another process has taken its place."""
    values: dict[str, Any] = {
        "lease_until": now + LEASE_MICROS, "kind": kind,
        "tallies": {kind.value: tally.as_json() for kind, tally in tallies.items()},
    }  # fmt: skip
    if ended:
        values |= {"ended_at": now, "bytes_after": bytes_after}
    is_ours = (retention_runs.c.id == run, retention_runs.c.holder == holder, retention_runs.c.ended_at.is_(None))
    if not connection.execute(update(retention_runs).where(*is_ours).values(**values)).rowcount:
        raise Conflict("another process has taken over", place="retention")


def last(connection: Connection) -> dict[str, Any] | None:
    """The newest run; None: there was none."""
    row = connection.execute(select(retention_runs).order_by(retention_runs.c.id.desc()).limit(1)).mappings().first()
    return dict(row) if row else None
