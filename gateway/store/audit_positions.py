"""How far each repository of the audit trail has been sent, and which process sends to it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gateway.store import audit
from gateway.store.schema import audit_repositories


@dataclass(frozen=True, slots=True)
class Position:
    """Of one repository. Moments: microseconds since 1970."""

    name: str
    sequence: int
    """Of the last row that was sent or skipped."""
    skipped: int
    away_since: int | None
    reason: str
    """Why the last try failed; empty: it did not."""
    sent_at: int | None


_COLUMNS = audit_repositories.c
_SHOWN = (
    _COLUMNS.name, _COLUMNS.sequence, _COLUMNS.skipped, _COLUMNS.away_since, _COLUMNS.reason, _COLUMNS.sent_at,
)  # fmt: skip


def positions(connection: Connection) -> dict[str, Position]:
    """By name."""
    return {row.name: Position(*row) for row in connection.execute(select(*_SHOWN))}


def claim(connection: Connection, name: str, holder: str, *, now: int, until: int) -> Position | None:
    """Let `holder` alone send to the repository until then; None while another process does.

    A repository that is new is sent what comes from now on.
    """
    free = or_(_COLUMNS.holder == holder, _COLUMNS.held_until < now)
    taken = update(audit_repositories).where(_COLUMNS.name == name, free).values(holder=holder, held_until=until)
    if not connection.execute(taken).rowcount and not _added(connection, name, holder, until):
        return None
    row = connection.execute(select(*_SHOWN).where(_COLUMNS.name == name)).one()
    return Position(*row)


def _added(connection: Connection, name: str, holder: str, until: int) -> bool:
    if connection.execute(select(_COLUMNS.name).where(_COLUMNS.name == name)).first() is not None:
        return False
    row = {"name": name, "sequence": audit.head(connection).sequence, "holder": holder, "held_until": until}
    try:
        with connection.begin_nested():
            connection.execute(insert(audit_repositories), row)
    except IntegrityError:  # another process was first
        return False
    return True


def advance(
    connection: Connection, name: str, holder: str, sequence: int, refused: int = 0, *, now: int, until: int
) -> bool:  # fmt: skip
    """`holder` has sent all up to `sequence`, but for the `refused`, which the receiver does not take, and goes on
    until then. False when another process sends by now."""
    values = {
        "sequence": sequence, "skipped": _COLUMNS.skipped + refused, "away_since": None, "reason": "", "sent_at": now,
        "held_until": until,
    }  # fmt: skip
    mine = (_COLUMNS.name == name, _COLUMNS.holder == holder)
    return bool(connection.execute(update(audit_repositories).where(*mine).values(values)).rowcount)


def skip(connection: Connection, name: str, sequence: int, number: int) -> None:
    """Never send the `number` rows up to `sequence`."""
    values = {"sequence": sequence, "skipped": _COLUMNS.skipped + number}
    connection.execute(update(audit_repositories).where(_COLUMNS.name == name).values(values))


def least_sent(connection: Connection, *, tried_since: int) -> int | None:
    """Up to which row each repository was sent, of those to which a process has tried to send since then; None: there
    is none. One that was taken out of the configuration keeps nothing."""
    wanted = select(func.min(_COLUMNS.sequence)).where(_COLUMNS.held_until >= tried_since)
    return connection.execute(wanted).scalar()


def fail(connection: Connection, name: str, reason: str, *, since: int) -> None:
    """The repository is away."""
    values = {"away_since": since, "reason": reason}
    connection.execute(update(audit_repositories).where(_COLUMNS.name == name).values(values))
