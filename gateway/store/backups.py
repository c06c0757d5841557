"""When backups were made, for those who ask how old the last is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert

from gateway.store.schema import backups

KEPT_ROWS: Final = 100


def add(connection: Connection, *, file: Path, bytes: int, now: int) -> None:
    """Note a backup that was made and checked; the oldest rows beyond `KEPT_ROWS` go."""
    key = connection.execute(insert(backups), {"made_at": now, "file": str(file), "bytes": bytes}).inserted_primary_key
    assert key is not None
    connection.execute(delete(backups).where(backups.c.id <= key[0] - KEPT_ROWS))
