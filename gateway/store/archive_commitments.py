"""What archives were asked to commit, and what they have reported, by the work that sent each instance there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.records.commitment import Reference
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import WorkKind, WorkState
from gateway.store.chunks import chunks
from gateway.store.engine import lock
from gateway.store.retention.rule import remove
from gateway.store.schema import archive_commitments, asked_commitments, instances, outbox, series, studies

_A: Final = archive_commitments.c
_T: Final = asked_commitments.c


class InstanceThere(NamedTuple):
    """An instance that an archive has confirmed, and what it has reported of the commitment."""

    work: int
    """The row of the outbox that sent it."""
    reference: Reference
    payload: dict[str, Any]
    """Of that row."""
    asked_at: int | None
    """Steady time."""
    is_committed: bool
    failure_reason: int | None
    failures: int
    """In all, also under earlier work."""


class Asked(NamedTuple):
    """A transaction."""

    id: int
    destination: str
    study_uid: StudyInstanceUID


_NEWEST: Final = (
    select(func.max(outbox.c.id))
    .select_from(studies)
    .join(series, series.c.study == studies.c.id)
    .join(instances, instances.c.series == series.c.id)
    .join(outbox, outbox.c.subject == instances.c.sop_uid)
    .where(studies.c.study_uid == bindparam("study_uid"), outbox.c.kind == bindparam("the_kind"))
    .group_by(outbox.c.lane)
)
_THERE: Final = (
    select(
        outbox.c.id, outbox.c.payload, instances.c.sop_class_uid, instances.c.sop_uid, _A.asked_at, _A.committed_at,
        _A.failure_reason, _A.failures,
    )
    .select_from(studies)
    .join(series, series.c.study == studies.c.id)
    .join(instances, instances.c.series == series.c.id)
    .join(outbox, outbox.c.subject == instances.c.sop_uid)
    .outerjoin(archive_commitments, _A.work == outbox.c.id)
    .where(
        studies.c.study_uid == bindparam("study_uid"), outbox.c.id.in_(_NEWEST), outbox.c.state == WorkState.DONE.value
    )
    .order_by(outbox.c.id)
)  # fmt: skip


def there(connection: Connection, kind: WorkKind, study_uid: StudyInstanceUID) -> list[InstanceThere]:
    """The instances of a study that work of `kind` (of C-STORE) has brought to its destination."""
    rows = connection.execute(_THERE, {"study_uid": study_uid, "the_kind": str(kind)})
    return [
        InstanceThere(
            row.id, Reference(row.sop_class_uid, row.sop_uid), row.payload, row.asked_at, row.committed_at is not None,
            row.failure_reason, row.failures or 0,
        )
        for row in rows
    ]  # fmt: skip


def make(
    connection: Connection,
    asked: Sequence[InstanceThere],
    *,
    transaction_uid: str,
    destination: str,
    study_uid: StudyInstanceUID,
    now: int,
) -> None:
    """Add a transaction that is about to be asked, so that a report finds it however early it comes."""
    values = {
        "transaction_uid": transaction_uid, "destination": destination, "study_uid": study_uid, "made_at": now,
    }  # fmt: skip
    key = connection.execute(insert(asked_commitments), values).inserted_primary_key
    assert key is not None
    _add_rows(connection, asked, destination, first_asked=int(key[0]))


def _add_rows(connection: Connection, asked: Sequence[InstanceThere], destination: str, *, first_asked: int) -> None:
    """For those that were not asked for before."""
    known: set[int] = set()
    for chunk in chunks([one.work for one in asked]):
        known.update(connection.execute(select(_A.work).where(_A.work.in_(chunk))).scalars())
    before = _failures(connection, destination, [one.reference.sop_uid for one in asked])
    rows = [
        {
            "work": one.work, "destination": destination, "sop_uid": one.reference.sop_uid, "first_asked": first_asked,
            "failures": before.get(one.reference.sop_uid, 0),
        }
        for one in asked
        if one.work not in known
    ]  # fmt: skip
    if rows:
        connection.execute(insert(archive_commitments), rows)


def _failures(connection: Connection, destination: str, uids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(uids):
        wanted = select(_A.sop_uid, func.max(_A.failures)).where(_A.destination == destination, _A.sop_uid.in_(chunk))
        found |= {row[0]: row[1] for row in connection.execute(wanted.group_by(_A.sop_uid))}
    return found


def mark_asked(connection: Connection, works: Sequence[int], *, now: int) -> None:
    """The archive has taken the request for these; `now`: steady time."""
    for chunk in chunks(works):
        asked = update(archive_commitments).where(_A.work.in_(chunk), _A.committed_at.is_(None))
        connection.execute(asked.values(asked_at=now))


def forget_failures(connection: Connection, works: Sequence[int]) -> None:
    """Let these be asked for again, as if they never had been."""
    for chunk in chunks(works):
        failed = update(archive_commitments).where(_A.work.in_(chunk), _A.committed_at.is_(None))
        connection.execute(failed.values(asked_at=None, failure_reason=None))


def take(
    connection: Connection, transaction_uid: str, committed: Sequence[str], failed: Mapping[str, int], *, now: int
) -> Asked | None:
    """Keep what an archive reports of a transaction, by SOP Instance UID; None where there is no such transaction. A
    commitment that was given stays, also when the report comes again."""
    lock(connection, f"asked|{transaction_uid}")
    row = connection.execute(select(asked_commitments).where(_T.transaction_uid == transaction_uid)).first()
    if row is None:
        return None
    asked = Asked(row.id, row.destination, StudyInstanceUID(row.study_uid))
    connection.execute(update(asked_commitments).where(_T.id == row.id).values(answered_at=now))
    # What was sent anew since it was asked for is not what the archive speaks of.
    mine = (_A.destination == asked.destination, _A.first_asked <= asked.id, _A.committed_at.is_(None))
    for chunk in chunks(committed):
        given = update(archive_commitments).where(*mine, _A.sop_uid.in_(chunk))
        connection.execute(given.values(committed_at=now, failure_reason=None))
    if failed and row.answered_at is None:
        refused = update(archive_commitments).where(*mine, _A.sop_uid == bindparam("the_uid"))
        values = refused.values(failure_reason=bindparam("reason"), failures=_A.failures + 1)
        connection.execute(values, [{"the_uid": uid, "reason": reason} for uid, reason in failed.items()])
    return asked


def delete_of(connection: Connection, tally: Counter[str], work: Sequence[int]) -> None:
    """Delete what is known of the commitment of what these rows of the outbox sent."""
    remove(connection, tally, archive_commitments, _A.work, list(work))
