"""The audit trail: events are written with what they are about, and chained.

`record` is called within a unit of the writer. The events of all units of one commit are written just before the
commit; a unit that is taken back, or run again, takes its events back. SQLite lets one process write at a time: there
they go to the end of the chain in `audit` at once. On PostgreSQL, where commits do not wait for one another, they go to
`audit_waiting` as one row, and `seal` moves what waits to the end of the chain a second or so later. `forget_before`
removes the chain's beginning and leaves an anchor by which the rest is still provable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, literal_column, select, text
from sqlalchemy.event import listens_for

from gateway.records.audit import GATEWAY, Action, AuditEvent, AuditKind, canonical
from gateway.store import pending
from gateway.store.carried import carried, carrying
from gateway.store.schema import audit, audit_anchors, audit_patients, audit_waiting
from gateway.store.set_statement import SetStatement
from gateway.store.statement import Statement

BATCH: Final = 100
"""Events that are chained in one unit: what all others of the commit wait for, a few milliseconds."""
LONGEST_KEY: Final = 256
FORGET_BATCH: Final = 1_000
FORGOTTEN_TO: Final = "forgotten to"
"""Names the detail of an event that states up to which row the beginning of the chain was removed."""
FORGOTTEN_HASH: Final = "hash"
START: Final = bytes(32)
"""The hash before the first row of all."""
_GATHERED: Final = "audit"
_SAVEPOINTS: Final = "audit savepoints"
_ADD: Final = Statement(insert(audit_waiting), ["number", "events"])
_FIRST: Final = Statement(
    select(audit_waiting.c.id, audit_waiting.c.number, audit_waiting.c.events)
    .order_by(audit_waiting.c.id)
    .limit(literal_column("64"))
)
_LAST: Final = Statement(
    select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(literal_column("1"))
)
_TAKE: Final = SetStatement(delete(audit_waiting).where(audit_waiting.c.id == bindparam("the_id")))
_CHAIN: Final = Statement(insert(audit), ["sequence", "moment", "kind", "actor", "event", "hash"])
_NAME_PATIENT: Final = Statement(insert(audit_patients), ["patient_id", "sequence"])
_UNNAME: Final = SetStatement(
    delete(audit_patients).where(
        audit_patients.c.patient_id == bindparam("the_patient"), audit_patients.c.sequence == bindparam("the_sequence")
    )
)
_SEALING: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended('audit chain', 0))")


def record(connection: Connection, happened: AuditEvent) -> None:
    """Add `happened` to the trail with the transaction of `connection`: kept if and only if that is."""
    event = canonical(happened)
    events: list[str] | None = carried(connection).get(_GATHERED)
    if events is None:
        _write(connection, [event])
    else:
        events.append(event)


def begin(connection: Connection) -> None:
    """Keep the events of the transaction together, which must end with `write_gathered`."""
    carrying(connection).update({_GATHERED: [], _SAVEPOINTS: []})


def write_gathered(connection: Connection) -> None:
    """Write the events of the transaction, which gets no more."""
    events: list[str] = carrying(connection).pop(_GATHERED)
    if events:
        _write(connection, events)


def _write(connection: Connection, events: Sequence[str]) -> None:
    if connection.dialect.name == "sqlite":
        _chain(connection, events)
    else:
        _ADD.run(connection, _as_row(events))


def go_with_rows(connection: Connection) -> None:
    """PostgreSQL: let the events of the transaction, which gets no more, be sent with its other rows (`pending`)."""
    events: list[str] = carried(connection).get(_GATHERED, [])
    if events and connection.dialect.name == "postgresql":
        _ADD.add_later(connection, _as_row(events))
        events.clear()


def _as_row(events: Sequence[str]) -> dict[str, Any]:
    return {"number": len(events), "events": "\n".join(events)}


def number_gathered(connection: Connection) -> int:
    """How many events the transaction has so far, for `take_back`."""
    return len(carried(connection).get(_GATHERED, ()))


def take_back(connection: Connection, number: int) -> None:
    """Forget all events of the transaction but the first `number`."""
    del carried(connection)[_GATHERED][number:]


def follow_savepoints(engine: Engine) -> None:
    """Let a savepoint that a unit rolls back take back the events since it was set."""

    # They end in the order opposite to that in which they were set, and have no name when they are.
    @listens_for(engine, "savepoint")
    def _set(connection: Connection, _name: None) -> None:
        carrying(connection).setdefault(_SAVEPOINTS, []).append(number_gathered(connection))

    @listens_for(engine, "release_savepoint")
    def _released(connection: Connection, _name: str, _context: None) -> None:
        _ended(connection)

    @listens_for(engine, "rollback_savepoint")
    def _rolled_back(connection: Connection, _name: str, _context: None) -> None:
        number = _ended(connection)
        if _GATHERED in carried(connection):
            take_back(connection, number)


def _ended(connection: Connection) -> int:
    savepoints: list[int] = carried(connection).get(_SAVEPOINTS, [])
    return savepoints.pop() if savepoints else 0


class Link(NamedTuple):
    """A place in the chain: what the next row builds on."""

    sequence: int
    hash: bytes


def hash_of(before: bytes, sequence: int, event: str) -> bytes:
    """The hash of a row: SHA-256 over the hash of the row before it, its sequence (8 bytes) and its event."""
    return hashlib.sha256(before + sequence.to_bytes(8) + event.encode()).digest()


def beginning(connection: Connection) -> Link:
    """What the first row of the chain builds on."""
    columns = audit_anchors.c
    row = connection.execute(select(columns.sequence, columns.hash)).first()
    return Link(0, START) if row is None else Link(row.sequence, bytes(row.hash))


def head(connection: Connection) -> Link:
    """The end of the chain."""
    row = _LAST.first(connection, {})
    return beginning(connection) if row is None else Link(row["sequence"], bytes(row["hash"]))


def number_waiting(connection: Connection) -> int:
    """How many events are not chained yet."""
    return int(connection.execute(select(func.sum(audit_waiting.c.number))).scalar() or 0)


def seal(connection: Connection, *, limit: int = BATCH) -> int:
    """Chain the events that wait, in the order in which they were written; how many there were, at most `limit`.

    While another process chains, nothing is done.
    """
    if connection.dialect.name == "postgresql" and not connection.execute(_SEALING).scalar():
        return 0
    events = _taken(connection, limit)
    if events:
        _chain(connection, events)
    return len(events)


def _chain(connection: Connection, events: Sequence[str]) -> None:
    """Add `events`, of which there is at least one, at the end of the chain."""
    link = head(connection)
    rows: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    for event in events:
        sequence = link.sequence + 1
        link = Link(sequence, hash_of(link.hash, sequence, event))
        columns, patients = columns_of(event)
        names += [{"patient_id": patient, "sequence": sequence} for patient in patients]
        rows.append({"sequence": sequence, **columns, "event": event, "hash": link.hash})
    pending.run(connection, [*_CHAIN.inserts(connection, rows), *_NAME_PATIENT.inserts(connection, names)])


def _taken(connection: Connection, limit: int) -> Sequence[str]:
    """The first events that wait, which are gone from there: whole commits, about `limit` events in all."""
    events: list[str] = []
    taken: list[dict[str, int]] = []
    for row in _FIRST.rows(connection, {}):
        if taken and len(events) + row["number"] > limit:
            break
        events += row["events"].split("\n")
        taken.append({"the_id": row["id"]})
    # By their ids: between two statements others may have added events with lower ones.
    _TAKE.run_all(connection, taken)
    return events


def columns_of(event: str) -> tuple[dict[str, Any], Sequence[str]]:
    """The columns of a row that are taken of its event, and the Patient IDs, each once; as `key_of` makes them.

    Raises `ValueError` for a text that is no event, which somebody has put there.
    """
    values = orjson.loads(event)
    try:
        columns = {"moment": values["moment"], "kind": values["kind"], "actor": key_of(values["actor"]["name"])}
        return columns, list(dict.fromkeys(map(key_of, values["patients"])))
    except (KeyError, TypeError) as error:
        raise ValueError("no event of the audit trail") from error


def _patients_of(event: str) -> Sequence[str]:
    """The Patient IDs of a row that goes; none where somebody has made another text of its event, which goes too."""
    try:
        return columns_of(event)[1]
    except ValueError:
        return ()


def key_of(value: str) -> str:
    """A value of a peer as both databases keep and index it: PostgreSQL takes no NUL, and nothing that is long."""
    return value[:LONGEST_KEY].replace("\0", "\ufffd")


def forget_before(connection: Connection, moment: int, *, now: int, limit: int = FORGET_BATCH) -> int:
    """Remove rows from the beginning of the chain that are older than `moment`; how many, at most `limit`.

    The first row that is not older ends it. What is left is provable: an anchor states the sequence and the hash of
    the last row that was removed, and an event in the chain states the same. Moments are microseconds since 1970.
    """
    columns = audit.c
    first = (
        select(columns.sequence, columns.moment, columns.hash, columns.event).order_by(columns.sequence).limit(limit)
    )
    old = list(takewhile(lambda row: row.moment < moment, connection.execute(first)))
    if not old:
        return 0
    last = old[-1]
    names = [(row.sequence, patient) for row in old for patient in _patients_of(row.event)]
    _UNNAME.run_all(connection, [{"the_sequence": sequence, "the_patient": patient} for sequence, patient in names])
    connection.execute(delete(audit).where(columns.sequence <= last.sequence))
    removed = _move_anchor(connection, Link(last.sequence, bytes(last.hash)), len(old), now)
    detail = {FORGOTTEN_TO: str(last.sequence), FORGOTTEN_HASH: bytes(last.hash).hex(), "removed in all": str(removed)}
    note = f"{len(old)} rows were removed by the rule of their age"
    record(connection, AuditEvent(AuditKind.AUDIT_LOG_USED, Action.DELETE, now, GATEWAY, note=note, detail=detail))
    return len(old)


def _move_anchor(connection: Connection, link: Link, number: int, now: int) -> int:
    """Let the chain begin behind `link`; how many rows were removed in all."""
    before = connection.execute(select(func.sum(audit_anchors.c.removed))).scalar() or 0
    connection.execute(delete(audit_anchors))
    anchor = {"sequence": link.sequence, "hash": link.hash, "removed": int(before) + number, "moved_at": now}
    connection.execute(insert(audit_anchors), anchor)
    return int(before) + number
