"""Work that is done, was overtaken or was given up, with its tries; and what is known of EHRs by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, and_, exists, or_, select

from gateway.records.delivery import identifier_of_study
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.records.work import Activity, Lane, Part, WorkState
from gateway.store import archive_commitments, commitments
from gateway.store.retention.rule import UNFINISHED, Rule, Verdict, remove
from gateway.store.schema import (
    EMPTY,
    ehr_resources,
    instances,
    missing_links,
    orders,
    outbox,
    performed_steps,
    pixel_files,
    procedures,
    studies,
    work_tries,
)

_OF_STUDY: Final = ("ImagingStudy", "DocumentReference")
_later = outbox.alias("later")
_is_overtaken: Final = (
    exists()
    .where(
        _later.c.subject == outbox.c.subject,
        _later.c.lane == outbox.c.lane,
        _later.c.id > outbox.c.id,
        or_(_later.c.state == WorkState.DONE.value, outbox.c.state != WorkState.DONE.value),
    )
    .label("is_overtaken")
)
"""A later row of the lane says what was sent last."""
_is_named: Final = or_(
    exists().where(studies.c.study_uid == outbox.c.subject),
    exists().where(procedures.c.study_uid == outbox.c.subject),
    exists().where(and_(orders.c.study_uid == outbox.c.subject, orders.c.study_uid != EMPTY)),
    exists().where(performed_steps.c.sop_uid == outbox.c.subject),
    # It says whether the file may leave the spool.
    exists().where(
        instances.c.sop_uid == outbox.c.subject,
        pixel_files.c.instance == instances.c.id,
        pixel_files.c.removed_at.is_(None),
    ),
).label("is_named")
"""What the work was about is kept."""


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    columns = (outbox.c.id, outbox.c.state, outbox.c.finished_at)
    rows = connection.execute(select(*columns, _is_overtaken, _is_named).where(outbox.c.id.in_(ids))).all()
    verdict = Verdict()
    verdict.stay((row.id for row in rows if row.state in UNFINISHED), Stays.UNDELIVERED)
    verdict.stay((row.id for row in rows if (row.finished_at or 0) >= limits.before), Stays.CHANGED)
    verdict.stay((row.id for row in rows if row.is_named and not row.is_overtaken), Stays.NEWEST)
    return verdict


def _delete(connection: Connection, ids: Sequence[int], _limits: Limits) -> Counter[str]:
    tally: Counter[str] = Counter()
    commitments.delete_of(connection, tally, ids)
    archive_commitments.delete_of(connection, tally, ids)
    remove(connection, tally, work_tries, work_tries.c.work, ids)
    remove(connection, tally, outbox, outbox.c.id, ids)
    return tally


def delete_of(connection: Connection, tally: Counter[str], subjects: Collection[str]) -> None:
    """Delete all work about `subjects`, none of which is unfinished, and what the ledger has of their resources.

    What comes of them later is asked about at the EHR before it is written.
    """
    wanted = sorted({one for one in subjects if one})
    if not wanted:
        return
    columns = (outbox.c.id, outbox.c.lane)
    rows = connection.execute(select(*columns).where(outbox.c.subject.in_(wanted))).all()
    lanes = {text: Lane.of(text) for text in {row.lane for row in rows}}
    for ehr in {lane.kind.target for lane in lanes.values() if lane.kind.activity is Activity.DELIVER}:
        _forget(connection, tally, ehr, [lane for lane in lanes.values() if lane.kind.target == ehr])
        links = [str(lane.of_looks()) for lane in lanes.values() if lane.kind.target == ehr]
        of_ehr = select(missing_links.c.id).where(missing_links.c.ehr == ehr, missing_links.c.lane.in_(links))
        remove(connection, tally, missing_links, missing_links.c.id, list(connection.execute(of_ehr).scalars()))
    ids = [row.id for row in rows]
    remove(connection, tally, work_tries, work_tries.c.work, ids)
    remove(connection, tally, outbox, outbox.c.id, ids)


def ledger_of(connection: Connection, ehr: str, lanes: Collection[Lane]) -> dict[tuple[str, str], Lane]:
    """(type of resource, `system|value`) -> lane of all that deliveries of these lanes may have left at an EHR."""
    keys: dict[tuple[str, str], Lane] = {}
    for lane in lanes:
        if lane.kind.activity is not Activity.DELIVER or lane.kind.target != ehr:
            continue
        if lane.part is Part.STUDY:
            keys |= {(kind, identifier_of_study(lane.subject)): lane for kind in _OF_STUDY}
        payloads = select(outbox.c.payload).where(outbox.c.subject == lane.subject, outbox.c.lane == str(lane))
        # Of a study they may be long, and the newest says what all of them do.
        for payload in connection.execute(payloads.order_by(outbox.c.id.desc()).limit(3)).scalars():
            if identifier := payload.get("identifier"):
                keys[str(payload["resource"]["resourceType"]), identifier] = lane
    return keys


def _forget(connection: Connection, tally: Counter[str], ehr: str, lanes: Collection[Lane]) -> None:
    by_kind: dict[str, list[str]] = {}
    for kind, identifier in ledger_of(connection, ehr, lanes):
        by_kind.setdefault(kind, []).append(identifier)
    columns = ehr_resources.c
    for kind, identifiers in by_kind.items():
        of_kind = select(columns.id).where(
            columns.ehr == ehr, columns.kind == kind, columns.identifier.in_(identifiers)
        )
        rows = list(connection.execute(of_kind).scalars())
        remove(connection, tally, ehr_resources, columns.id, rows)


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(select(outbox.c.id).where(outbox.c.id.in_(ids)).with_for_update())


WORK = Rule(RetentionKind.WORK, outbox, outbox.c.created_at, _judge, _delete, _hold)
