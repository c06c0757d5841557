"""When a study is looked at that may settle: its row of the outbox, and all that moves it.

A study that has grown has one row in its lane. Its payload holds `quiet_at`, the steady time at which no instance has
come for the quiet time, and `asked`, where a person wants the study to settle whatever is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, exists, literal_column, or_, select, update

from gateway.records.completeness import Decision, Evidence, Holding, Reason, Times, decided
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import SETTLE, TRANSITIONS, Lane, Work, WorkEvent, WorkState
from gateway.store import completeness, heartbeats
from gateway.store.chunks import chunks
from gateway.store.engine import lock
from gateway.store.outbox import NEVER, WAITING_ROW, enqueue, is_waiting, postpone, waits
from gateway.store.outbox_claims import is_active
from gateway.store.schema import (
    instances,
    outbox,
    performed_step_links,
    performed_steps,
    series,
    studies,
    unlinked_items,
)
from gateway.store.statement import Statement
from gateway.store.writer import announce

GRACE_MICROS: Final = 1_000_000
"""A study of which something is stated is looked at when no instance has come for so long."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a study waits, in microseconds."""

    quiet: int
    """It settles when no instance has come for so long."""
    longest: int = NEVER
    """It settles so long after its first instance in any case."""


# What moves the row


def arrived(connection: Connection, study_uid: StudyInstanceUID, wait: Wait, *, now: int, is_stated: bool) -> None:
    """An instance has come. `is_stated`: there is evidence of how much the study holds, which is looked at soon."""
    after = min(wait.quiet, wait.longest, GRACE_MICROS if is_stated else NEVER)
    quiet_at = heartbeats.steady_of(connection, now + wait.quiet, now=now)
    postpone(
        connection, Lane(SETTLE, study_uid), due_at=now + after, now=now, longest=wait.longest,
        payload={"quiet_at": quiet_at},
    )  # fmt: skip


def state(connection: Connection, study_uid: StudyInstanceUID, evidence: Evidence) -> None:
    """Keep a piece of evidence, and let a study that waits be looked at for it. The study need not have come yet."""
    if not completeness.record(connection, study_uid, evidence):
        return
    lane = Lane(SETTLE, study_uid)
    lock(connection, str(lane))
    soon = heartbeats.steady_of(connection, evidence.stated_at + GRACE_MICROS, now=evidence.stated_at)
    # Where it is known that no row waits, there is none to be looked at sooner.
    if is_waiting(connection, lane) is not False and _PULL.run(connection, {"the_lane": str(lane), "the_due": soon}):
        announce(connection, SETTLE)


def ask(connection: Connection, study_uid: StudyInstanceUID, *, now: int) -> None:
    """A person wants the study to settle now, whatever is missing."""
    postpone(connection, Lane(SETTLE, study_uid), due_at=now, now=now, payload={"asked": True})


def changed(connection: Connection, study_uid: StudyInstanceUID, *, now: int) -> None:
    """Something that the study's resources state has changed, though no instance has come. It counts a revision, and
    the study is looked at now, unless it still waits for instances and will be looked at anyway."""
    connection.execute(_REVISE, {"the_study": study_uid})
    lane = Lane(SETTLE, study_uid)
    if not waits(connection, lane):
        enqueue(connection, lane=lane, payload={}, due_at=now, now=now, supersede=True)


# What the row leads to


class Look(NamedTuple):
    """What is made of a study that is looked at."""

    decision: Decision
    until: int
    """When it is looked at again, unless something comes before; steady microseconds."""


def look(connection: Connection, work: Work, *, now: int, longest: int) -> Look:
    """Whether the study of `work` settles now. `longest`: as in `Wait`."""
    return _look(connection, work, work.payload, now=now, longest=longest)


def _look(connection: Connection, work: Work, payload: Mapping[str, Any], *, now: int, longest: int) -> Look:
    [(since,)] = _SINCE.found(connection, {"the_id": work.id})
    decision = _decision(connection, work.subject, payload, now=now, since=since, longest=longest)
    quiet_at = int(payload.get("quiet_at", 0))
    waits_for_quiet = decision.reason is Reason.ARRIVING
    return Look(decision, min(quiet_at, since + longest) if waits_for_quiet else since + longest)


def wait(connection: Connection, work: Work, *, now: int, longest: int) -> None:
    """Leave `work`, which was put back, waiting in its place: until what it waits for may have come. What was added
    behind it meanwhile is taken over."""
    lock(connection, str(work.lane))
    behind = connection.execute(_BEHIND, {"the_lane": str(work.lane), "behind": work.id}).all()
    payload = behind[-1].payload if behind else work.payload
    again = _look(connection, work, payload, now=now, longest=longest)
    steady = heartbeats.steady_of(connection, now, now=now)
    due = min([steady if again.decision.settles else again.until, *(one.due_at for one in behind)])
    connection.execute(_TAKEN_OVER, {"the_lane": str(work.lane), "behind": work.id, "now": now})
    connection.execute(_KEEP, {"the_id": work.id, "the_due": due, "the_payload": payload})


def outlook(connection: Connection, study_uid: StudyInstanceUID, *, now: int) -> Decision | None:
    """What a study that waits would be decided to now; None: it does not wait."""
    row = connection.execute(_ROW, {"the_lane": str(Lane(SETTLE, study_uid))}).first()
    if row is None:
        return None
    return _decision(connection, study_uid, row.payload, now=now, since=row.waits_since, longest=NEVER)


def _decision(
    connection: Connection,
    study_uid: StudyInstanceUID,
    payload: Mapping[str, Any],
    *,
    now: int,
    since: int,
    longest: int,
) -> Decision:
    steady = heartbeats.steady_of(connection, now, now=now)
    study = _STUDY.first(connection, {"the_study": study_uid})
    times = Times(
        asked=study is None or study["withdrawn_at"] is not None or bool(payload.get("asked")),
        grown=study is not None and study["grown_revision"] > study["settled_revision"],
        overdue=steady >= since + longest,
        quiet=steady >= payload.get("quiet_at", 0),
    )
    stated = completeness.of_study(connection, study_uid) if times.grown and not times.asked else []
    if not stated:
        return decided((), Holding((), 0), times)
    times = times._replace(performing=connection.execute(_PERFORMING, {"the_study": study_uid}).first() is not None)
    return decided(stated, _holding(connection, study_uid, stated), times)


def _holding(connection: Connection, study_uid: StudyInstanceUID, stated: list[Evidence]) -> Holding:
    rows = connection.execute(_HERE, {"the_study": study_uid}).all()
    here = frozenset(row.sop_uid for row in rows)
    named = frozenset[str]().union(*(one.sop_uids for one in stated))
    return Holding(here, len({row.series for row in rows}), _of_others(connection, sorted(named - here)))


def _of_others(connection: Connection, sop_uids: list[str]) -> frozenset[str]:
    """Which of these instances have come, in whatever study."""
    found = set[str]()
    for some in chunks(sop_uids):
        found.update(connection.execute(_ANYWHERE, {"the_uids": some}).scalars())
    return frozenset(found)


_PULL: Final = Statement(
    update(outbox)
    .where(*WAITING_ROW, outbox.c.due_at > bindparam("the_due", type_=BigInteger))
    .values(due_at=bindparam("the_due", type_=BigInteger)),
    touches=lambda _values: (),
)
_ROW: Final = (
    select(outbox.c.waits_since, outbox.c.payload)
    .where(outbox.c.lane == bindparam("the_lane"), is_active(outbox))
    .order_by(outbox.c.id.desc())
    .limit(1)
)
_SINCE: Final = Statement(select(outbox.c.waits_since).where(outbox.c.id == bindparam("the_id")))
_is_behind: Final = (*WAITING_ROW, outbox.c.id > bindparam("behind"))
_BEHIND: Final = select(outbox.c.due_at, outbox.c.payload).where(*_is_behind).order_by(outbox.c.id)
_TAKEN_OVER: Final = (
    update(outbox)
    .where(*_is_behind)
    .values(state=TRANSITIONS[(WorkState.PENDING, WorkEvent.SUPERSEDE)].value, finished_at=bindparam("now"))
)
_KEEP: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("the_id"))
    .values(due_at=bindparam("the_due"), payload=bindparam("the_payload", type_=outbox.c.payload.type))
)

_is_study: Final = studies.c.study_uid == bindparam("the_study")
_REVISE: Final = update(studies).where(_is_study).values(revision=studies.c.revision + 1)
_STUDY: Final = Statement(
    select(studies.c.grown_revision, studies.c.settled_revision, studies.c.withdrawn_at).where(_is_study)
)
_HERE: Final = (
    select(instances.c.series, instances.c.sop_uid)
    .join(series, series.c.id == instances.c.series)
    .join(studies, studies.c.id == series.c.study)
    .where(_is_study)
)
_ANYWHERE: Final = select(instances.c.sop_uid).where(instances.c.sop_uid.in_(bindparam("the_uids", expanding=True)))
_PERFORMING: Final = (
    select(performed_steps.c.id)
    .where(
        literal_column("performed_steps.state = 'IN PROGRESS'"),
        performed_steps.c.silent_at.is_(None),
        or_(
            *(
                exists().where(
                    table.c.performed_step == performed_steps.c.id, table.c.study_uid == bindparam("the_study")
                )
                for table in (performed_step_links, unlinked_items)
            )
        ),
    )
    .limit(1)
)
