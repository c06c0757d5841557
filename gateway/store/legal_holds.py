"""Legal holds: who put them on what and why, and who took them back."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from gateway.errors import Conflict, UnknownKey
from gateway.records.legal_hold import Held, HoldOn, LegalHold
from gateway.store.engine import lock
from gateway.store.schema import legal_holds

_KEY: Final = "legal holds"
"""Held by who changes them and by who deletes rows: what was judged without a hold is gone before the hold counts."""


def keep_from_change(connection: Connection) -> None:
    """Let no hold begin or end until the transaction ends. Raises `Contended`."""
    lock(connection, _KEY)


def begin(connection: Connection, hold: LegalHold, *, person: str, note: str, now: int) -> int:
    """Put `hold` in force; returns its row. Raises `Conflict` when it is in force already."""
    keep_from_change(connection)
    if connection.execute(select(legal_holds.c.id).where(*_in_force(hold))).first() is not None:
        raise Conflict("it is on legal hold already", place=str(hold))
    values = {
        "subject": hold.on.value, "value": hold.value, "issuer": hold.issuer, "person": person, "note": note,
        "held_at": now,
    }  # fmt: skip
    key = connection.execute(insert(legal_holds), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def end(connection: Connection, hold: LegalHold, *, person: str, note: str, now: int) -> None:
    """Take `hold` back. Raises `UnknownKey` when it is not in force."""
    keep_from_change(connection)
    ended = {"released_at": now, "released_by": person, "release_note": note}
    if not connection.execute(update(legal_holds).where(*_in_force(hold)).values(**ended)).rowcount:
        raise UnknownKey("there is no such legal hold", place=str(hold))


def _in_force(hold: LegalHold) -> list[Any]:
    columns = legal_holds.c
    return [
        columns.subject == hold.on.value, columns.value == hold.value, columns.issuer == hold.issuer,
        columns.released_at.is_(None),
    ]  # fmt: skip


def held(connection: Connection) -> Held:
    """All holds that are in force."""
    columns = (legal_holds.c.subject, legal_holds.c.value, legal_holds.c.issuer)
    rows = connection.execute(select(*columns).where(legal_holds.c.released_at.is_(None))).all()
    return Held(
        frozenset((row.value, row.issuer) for row in rows if row.subject == HoldOn.PATIENT),
        frozenset(row.value for row in rows if row.subject == HoldOn.ACCESSION),
    )


def count(connection: Connection) -> int:
    """How many holds are in force."""
    wanted = select(func.count()).select_from(legal_holds).where(legal_holds.c.released_at.is_(None))
    return int(connection.execute(wanted).scalar_one())


def listing(connection: Connection, *, limit: int = 200, ended: bool = False) -> list[dict[str, Any]]:
    """The newest holds, those in force alone unless `ended`."""
    wanted = select(legal_holds).order_by(legal_holds.c.id.desc()).limit(limit)
    if not ended:
        wanted = wanted.where(legal_holds.c.released_at.is_(None))
    return [dict(row) for row in connection.execute(wanted).mappings()]
