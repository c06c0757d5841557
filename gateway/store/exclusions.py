"""Series and instances that are excluded from their study, with who, when and why; what was taken back stays."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.records.exclusion import Decision, Excluded, ExcludedLevel, ExcludedPart, Exclusion
from gateway.records.identifiers import StudyInstanceUID
from gateway.store.engine import lock
from gateway.store.schema import exclusions, instances, series, studies
from gateway.store.statement import Statement
from gateway.store.staying import stays
from gateway.store.study_keys import lock_of

_IN_FORCE: Final = Statement(
    select(exclusions.c.uid, exclusions.c.level).where(
        exclusions.c.study_uid == bindparam("the_study"), exclusions.c.ended_at.is_(None)
    )
)


def excluded(connection: Connection, study_uid: StudyInstanceUID) -> Excluded:
    """What is excluded of a study."""
    rows = _IN_FORCE.found(connection, {"the_study": study_uid})
    return Excluded(frozenset(ExcludedPart(study_uid, uid, ExcludedLevel(level)) for uid, level in rows))


def history(connection: Connection, study_uid: StudyInstanceUID) -> list[Exclusion]:
    """All exclusions of a study, the oldest first, those that were taken back as well."""
    wanted = select(exclusions).where(exclusions.c.study_uid == study_uid).order_by(exclusions.c.id)
    return [
        Exclusion(
            ExcludedPart(study_uid, row.uid, ExcludedLevel(row.level)),
            Decision(row.person, row.note, row.excluded_at),
            None if row.ended_at is None else Decision(row.ended_by, row.end_note, row.ended_at),
        )
        for row in connection.execute(wanted)
    ]


def begin(connection: Connection, part: ExcludedPart, decision: Decision) -> bool:
    """Exclude a part of a study. False: it is excluded already, by its own UID."""
    lock(connection, lock_of(part.study_uid))
    if part in excluded(connection, part.study_uid).parts:
        return False
    row = {
        "study_uid": part.study_uid, "uid": part.uid, "level": part.level.value, "person": decision.person,
        "note": decision.note, "excluded_at": decision.at,
    }  # fmt: skip
    connection.execute(insert(exclusions), row)
    return True


def end(connection: Connection, part: ExcludedPart, decision: Decision) -> bool:
    """Let a part count again. False: it is not excluded by its own UID."""
    lock(connection, lock_of(part.study_uid))
    ended = update(exclusions).where(
        exclusions.c.study_uid == part.study_uid,
        exclusions.c.uid == part.uid,
        exclusions.c.level == part.level.value,
        exclusions.c.ended_at.is_(None),
    )
    values = {"ended_at": decision.at, "ended_by": decision.person, "end_note": decision.note}
    return bool(connection.execute(ended, values).rowcount)


def parts_of(connection: Connection, uid: str) -> list[ExcludedPart]:
    """The series and instances that have arrived with a UID, by study; by the indexes of both."""
    of_series = (
        select(studies.c.study_uid)
        .join(series, series.c.study == studies.c.id)
        .where(series.c.series_uid == uid)
        .order_by(studies.c.id)
    )
    of_instances = (
        select(studies.c.study_uid)
        .join(series, series.c.study == studies.c.id)
        .join(instances, instances.c.series == series.c.id)
        .where(instances.c.sop_uid == uid)
        .order_by(studies.c.id)
    )
    wanted = ((ExcludedLevel.SERIES, of_series), (ExcludedLevel.INSTANCE, of_instances))
    return [
        ExcludedPart(study_uid, uid, level)
        for level, query in wanted
        for study_uid in dict.fromkeys(connection.execute(query).scalars())
    ]


def counting(connection: Connection, study_uid: StudyInstanceUID) -> int:
    """How many instances of a study are neither excluded nor of another study now."""
    left_out = excluded(connection, study_uid)
    wanted = (
        select(series.c.series_uid, instances.c.sop_uid)
        .join(studies, studies.c.id == series.c.study)
        .join(instances, instances.c.series == series.c.id)
        .where(studies.c.study_uid == study_uid, stays())
    )
    return sum((series_uid, sop_uid) not in left_out for series_uid, sop_uid in connection.execute(wanted))
