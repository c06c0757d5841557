"""Studies for people, newest first, and how each stands at the EHRs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, exists, func, select

from gateway.records.ehr_standing import STATES_OF, EhrStanding
from gateway.records.order_check import OrderStanding
from gateway.records.work import Activity, Lane, Part, WorkKind, WorkState
from gateway.store.schema import EMPTY, outbox, studies, word

MOST_COUNTED: Final = 1_000
LOOKED_AT: Final = 1_000
"""Rows of work, or studies, of which a standing chooses."""

_COLUMNS: Final = [column for column in studies.c if column.name not in ("sources", "findings")]


@dataclass(frozen=True, slots=True)
class StudyRows:
    """A page of studies, newest first."""

    rows: list[dict[str, Any]]
    """Without what was found in them."""
    count: int
    """How many there are on all pages; at most `MOST_COUNTED` + 1 are counted."""


def listing(
    connection: Connection,
    *,
    patient_id: str = "",
    accession: str = "",
    standing: EhrStanding | None = None,
    order_standing: OrderStanding | None = None,
    before: int | None = None,
    limit: int,
) -> StudyRows:
    """`before`: rows with a lower id alone."""
    given = ((studies.c.patient_id, patient_id), (studies.c.accession, accession))
    conditions = [column == value for column, value in given if value]
    if order_standing is not None:
        # In the words of the partial index, which a database does not compare with a parameter.
        conditions += [studies.c.order_standing == order_standing.value, _NEEDS_LOOK]
    if standing is not None and standing in STATES_OF:
        rows = _standing(connection, standing, conditions)
        ids = [row for row in rows if before is None or row < before][:limit]
        found = connection.execute(select(*_COLUMNS).where(studies.c.id.in_(ids)).order_by(studies.c.id.desc()))
        return StudyRows([dict(row) for row in found.mappings()], len(rows))
    conditions += _conditions(standing)
    some = select(studies.c.id).where(*conditions).limit(MOST_COUNTED + 1).subquery()
    counted = connection.execute(select(func.count()).select_from(some)).scalar_one()
    wanted = select(*_COLUMNS).where(*conditions).order_by(studies.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(studies.c.id < before)
    return StudyRows([dict(row) for row in connection.execute(wanted).mappings()], int(counted))


def _conditions(standing: EhrStanding | None) -> list[ColumnElement[bool]]:
    if standing is EhrStanding.WITHDRAWN:
        return [studies.c.withdrawn_at.is_not(None)]
    if standing is EhrStanding.NOT_SENT:
        newest = select(studies.c.id).order_by(studies.c.id.desc()).limit(LOOKED_AT).subquery()
        return [studies.c.id.in_(select(newest.c.id)), studies.c.withdrawn_at.is_(None), ~_has_work]
    return []


def _standing(connection: Connection, standing: EhrStanding, conditions: Sequence[ColumnElement[bool]]) -> list[int]:
    """Rows of studies that stand so and meet the conditions, the newest first."""
    # What is parked counts before what waits, and that before what is done.
    order = tuple(STATES_OF)
    uids = _with_work(connection, standing)
    for more_urgent in order[: order.index(standing)]:
        uids -= _with_work(connection, more_urgent)
    counting = select(studies.c.id).where(studies.c.study_uid.in_(uids), studies.c.withdrawn_at.is_(None), *conditions)
    return sorted(connection.execute(counting).scalars(), reverse=True)


_NEEDS_LOOK: Final = studies.c.order_standing.not_in([EMPTY, word(OrderStanding.LINKED)])
_has_work: Final = exists().where(
    outbox.c.subject == studies.c.study_uid,
    outbox.c.kind.startswith(f"{Activity.DELIVER}:"),
    outbox.c.state.in_([state.value for states in STATES_OF.values() for state in states]),
)
_NEWEST: Final = (
    select(outbox.c.subject, outbox.c.lane)
    .where(outbox.c.state == bindparam("the_state"), outbox.c.kind.not_like(f"{Activity.STORE}:%"))
    .order_by(outbox.c.id.desc())
    .limit(LOOKED_AT)
)


def _with_work(connection: Connection, standing: EhrStanding) -> set[str]:
    """Study Instance UIDs with work in such a state, of the newest rows of each state."""
    rows = [
        row for state in STATES_OF[standing] for row in connection.execute(_NEWEST, {"the_state": state.value}).all()
    ]
    settled = standing is EhrStanding.DELIVERED
    return {row.subject for row in rows if (name := _receiver(row.lane)) and not (settled and name == Activity.SETTLE)}


def newest_work(connection: Connection, study_uids: Sequence[str]) -> dict[str, dict[str, WorkState]]:
    """Study Instance UID -> EHR -> state of the newest delivery of the study itself; `settle` stands for the study
    that is looked at, where that waits or is parked."""
    if not study_uids:
        return {}
    last = select(func.max(outbox.c.id)).where(outbox.c.subject.in_(study_uids)).group_by(outbox.c.lane)
    rows = connection.execute(select(outbox.c.subject, outbox.c.lane, outbox.c.state).where(outbox.c.id.in_(last)))
    found: dict[str, dict[str, WorkState]] = {uid: {} for uid in study_uids}
    for subject, lane, state in rows:
        name = _receiver(lane)
        if name and not (name == str(Activity.SETTLE) and state == WorkState.DONE):
            found[subject][name] = WorkState(state)
    return found


def _receiver(lane: str) -> str:
    """The EHR of a lane of deliveries of a study itself, or `settle`; empty for other lanes."""
    if lane.partition("|")[0] == str(WorkKind(Activity.SETTLE)):
        return str(Activity.SETTLE)
    of = Lane.of(lane) if lane.startswith(f"{Activity.DELIVER}:") else None
    return of.kind.target if of is not None and of.part is Part.STUDY else ""
