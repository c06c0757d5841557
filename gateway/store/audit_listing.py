"""Rows of the audit trail: in the order of the chain, and by who, what, which patient and when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, literal_column, select

from gateway.records.audit import AuditEvent, AuditKind, event_of
from gateway.store import audit as trail
from gateway.store import audit_positions
from gateway.store.audit import key_of
from gateway.store.schema import audit, audit_patients
from gateway.store.statement import Statement


class ChainRow(NamedTuple):
    """A row of the chain as it is kept."""

    sequence: int
    moment: int
    kind: str
    actor: str
    event: str
    """Canonical JSON."""
    hash: bytes


_COLUMNS: Final = (audit.c.sequence, audit.c.moment, audit.c.kind, audit.c.actor, audit.c.event, audit.c.hash)


@dataclass(frozen=True, slots=True)
class RepositoryStanding:
    """How a repository stands. Moments: microseconds since 1970."""

    name: str
    waiting: int
    skipped: int
    away_since: int | None
    reason: str
    sent_at: int | None


@dataclass(frozen=True, slots=True)
class AuditStanding:
    """How the trail stands."""

    rows: int
    """That are in the chain now."""
    waiting: int
    """That are not chained yet."""
    repositories: Sequence[RepositoryStanding]


def standing(connection: Connection) -> AuditStanding:
    """How the trail and its repositories stand."""
    head, begins = trail.head(connection).sequence, trail.beginning(connection).sequence
    return AuditStanding(head - begins, trail.number_waiting(connection), repositories(connection))


def repositories(connection: Connection) -> list[RepositoryStanding]:
    """How each repository stands."""
    head = trail.head(connection).sequence
    return [
        RepositoryStanding(one.name, max(head - one.sequence, 0), one.skipped, one.away_since, one.reason, one.sent_at)
        for one in audit_positions.positions(connection).values()
    ]


def rows_after(connection: Connection, sequence: int, *, limit: int) -> list[ChainRow]:
    """The rows behind `sequence`, in their order."""
    wanted = select(*_COLUMNS).where(audit.c.sequence > sequence).order_by(audit.c.sequence).limit(limit)
    return [ChainRow(*row[:-1], bytes(row.hash)) for row in connection.execute(wanted)]


def patients_between(
    connection: Connection, patients: Collection[str], first: int, last: int
) -> set[tuple[str, int]]:  # fmt: skip
    """(Patient ID, sequence) of the index for these patients, of the rows from `first` to `last`."""
    columns = audit_patients.c
    wanted = select(columns.patient_id, columns.sequence).where(
        columns.patient_id.in_(patients), columns.sequence.between(first, last)
    )
    return {(row.patient_id, row.sequence) for row in connection.execute(wanted)}


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An event with its place in the chain."""

    sequence: int
    event: AuditEvent
    hash: str
    """Hexadecimal."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted; empty: of any."""

    kind: AuditKind | None = None
    actor: str = ""
    patient_id: str = ""
    first_at: int | None = None
    """Microseconds since 1970; by the order of the rows, in which a clock that was set back counts for little."""
    last_at: int | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events, the newest first."""

    rows: Sequence[AuditRow]
    next_before: int | None
    """Sequence for the next page; None: this is the last."""


def page(connection: Connection, wanted: AuditFilter, *, limit: int, before: int | None = None) -> AuditPage:
    """The newest events of `wanted`, of those before the row `before`."""
    upper = before
    if wanted.last_at is not None:
        bound = sequence_at(connection, wanted.last_at + 1)
        upper = bound if upper is None else min(upper, bound)
    query = _filtered(wanted, connection)
    if upper is not None:
        query = query.where(audit.c.sequence < upper)
    found = connection.execute(query.order_by(audit.c.sequence.desc()).limit(limit + 1)).all()
    rows = [AuditRow(row.sequence, event_of(row.event), bytes(row.hash).hex()) for row in found[:limit]]
    return AuditPage(rows, rows[-1].sequence if len(found) > limit else None)


def oldest_first(connection: Connection, wanted: AuditFilter, *, after: int, limit: int) -> list[AuditRow]:
    """The events of `wanted` behind the row `after`, the oldest first: for whoever reads all of them."""
    query = _filtered(replace(wanted, last_at=None), connection).where(audit.c.sequence > after)
    if wanted.last_at is not None:
        query = query.where(audit.c.sequence < sequence_at(connection, wanted.last_at + 1))
    found = connection.execute(query.order_by(audit.c.sequence).limit(limit))
    return [AuditRow(row.sequence, event_of(row.event), bytes(row.hash).hex()) for row in found]


def _filtered(wanted: AuditFilter, connection: Connection) -> Select[Any]:
    query = select(audit.c.sequence, audit.c.event, audit.c.hash)
    if wanted.patient_id:
        named = audit_patients.c
        query = query.join(audit_patients, named.sequence == audit.c.sequence)
        query = query.where(named.patient_id == key_of(wanted.patient_id))
    if wanted.kind is not None:
        query = query.where(audit.c.kind == wanted.kind.value)
    if wanted.actor:
        query = query.where(audit.c.actor == key_of(wanted.actor))
    if wanted.first_at is not None:
        query = query.where(audit.c.sequence >= sequence_at(connection, wanted.first_at))
    return query


_ROW_FROM: Final = Statement(
    select(audit.c.sequence, audit.c.moment)
    .where(audit.c.sequence >= bindparam("the_sequence"))
    .order_by(audit.c.sequence)
    .limit(literal_column("1"))
)


def sequence_at(connection: Connection, moment: int) -> int:
    """The sequence of the first event at `moment` or later, by halves; behind the last where there is none."""
    # One at a time: for both in one statement SQLite goes through the whole index.
    first, last = (connection.execute(select(end(audit.c.sequence))).scalar() for end in (func.min, func.max))
    if first is None or last is None:
        return 1
    low, high = int(first), int(last) + 1
    while low < high:
        middle = (low + high) // 2
        row = _ROW_FROM.first(connection, {"the_sequence": middle})
        assert row is not None, "the last row of all stands before `high`"
        low, high = (row["sequence"] + 1, high) if row["moment"] < moment else (low, middle)
    return low
