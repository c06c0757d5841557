"""Studies for people, newest first, and how each stands at the EHRs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select

from gateway.records.ehr_standing import STATES_OF, EhrStanding
from gateway.records.work import Activity, Lane, Part, WorkKind, WorkState
from gateway.store.schema import outbox, studies

MOST_COUNTED: Final = 1_000
LOOKED_AT: Final = 2_000
"""Rows of work, or studies, of which a standing chooses."""

_COLUMNS: Final = [column for column in studies.c if column.name not in ("sources", "findings")]


def listing(
    connection: Connection,
    *,
    patient_id: str = "",
    accession: str = "",
    standing: EhrStanding | None = None,
    before: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Rows of studies, without what was found in them."""
    wanted = select(*_COLUMNS).where(*_conditions(patient_id, accession, standing)).order_by(studies.c.id.desc())
    if before is not None:
        wanted = wanted.where(studies.c.id < before)
    return [dict(row) for row in connection.execute(wanted.limit(limit)).mappings()]


def count(
    connection: Connection, *, patient_id: str = "", accession: str = "", standing: EhrStanding | None = None
) -> int:
    """How many there are; at most `MOST_COUNTED` + 1 are counted."""
    some = select(studies.c.id).where(*_conditions(patient_id, accession, standing)).limit(MOST_COUNTED + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one())


def _conditions(patient_id: str, accession: str, standing: EhrStanding | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if patient_id:
        conditions.append(studies.c.patient_id == patient_id)
    if accession:
        conditions.append(studies.c.accession == accession)
    if standing is EhrStanding.WITHDRAWN:
        conditions.append(studies.c.withdrawn_at.is_not(None))
    elif standing is EhrStanding.NOT_SENT:
        newest = select(studies.c.id).order_by(studies.c.id.desc()).limit(LOOKED_AT).subquery()
        conditions += [studies.c.id.in_(select(newest.c.id)), studies.c.withdrawn_at.is_(None), ~_has_work]
    elif standing is not None:
        conditions += [studies.c.withdrawn_at.is_(None), studies.c.study_uid.in_(_with_work(standing))]
        # What is parked counts before what waits, and that before what is done.
        before = tuple(STATES_OF)[: tuple(STATES_OF).index(standing)]
        conditions += [studies.c.study_uid.not_in(_with_work(one)) for one in before]
    return conditions


_of_study: Final = and_(
    outbox.c.lane == outbox.c.kind + "|" + outbox.c.subject,
    or_(outbox.c.kind == str(Activity.SETTLE), outbox.c.kind.startswith(f"{Activity.DELIVER}:")),
)
"""Of the study itself, not of its order."""
_has_work: Final = exists().where(
    outbox.c.subject == studies.c.study_uid,
    outbox.c.kind.startswith(f"{Activity.DELIVER}:"),
    outbox.c.state.in_([state.value for states in STATES_OF.values() for state in states]),
)


def _with_work(standing: EhrStanding) -> Select[Any]:
    """Study Instance UIDs with work in such a state, of the newest rows of that state."""
    states = [state.value for state in STATES_OF[standing]]
    newest = select(outbox.c.subject).where(outbox.c.state.in_(states), _of_study)
    if standing is EhrStanding.DELIVERED:
        newest = newest.where(outbox.c.kind != str(Activity.SETTLE))
    return select(newest.order_by(outbox.c.id.desc()).limit(LOOKED_AT).subquery().c.subject)


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
