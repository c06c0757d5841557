"""What studies and their orders state differently, as it was found last, and what persons released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import Check, CheckPolicy, Conflict, FoundConflict, OrderStanding, Released
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.store.engine import lock
from gateway.store.schema import EMPTY, order_conflicts, orders, studies, word
from gateway.store.statement import Row, Statement
from gateway.store.study_keys import lock_of

_OF_STUDY: Final = Statement(
    select(order_conflicts).where(order_conflicts.c.study_uid == bindparam("the_study")).order_by(order_conflicts.c.id)
)


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> list[FoundConflict]:
    """All that were found, the oldest first; those that ended as well."""
    return [_conflict(row) for row in _OF_STUDY.rows(connection, {"the_study": study_uid})]


def _conflict(row: Row) -> FoundConflict:
    released = None
    if row["released_at"] is not None:
        released = Released(row["released_by"], row["release_reason"], row["released_at"])
    conflict = Conflict(Check(row["check"]), OrderRow(row["order"]), row["images"], row["ordered"])
    return FoundConflict(conflict, CheckPolicy(row["policy"]), row["since"], row["ended_at"], released)


def note(
    connection: Connection,
    study_uid: StudyInstanceUID,
    found: Sequence[FoundConflict],
    standing: OrderStanding,
    *,
    now: int,
) -> None:
    """Keep what was found of a study; what was there before and is not any more has ended."""
    connection.execute(_STAND, {"the_study": study_uid, "the_standing": standing.value})
    rows = _OF_STUDY.rows(connection, {"the_study": study_uid})
    if not rows and not found:
        return
    lock(connection, lock_of(study_uid))
    wanted = {one.conflict.key: one for one in found}
    for row in rows:
        one = wanted.pop(_conflict(row).conflict.key, None)
        ended_at = None if one is not None else row["ended_at"] or now
        policy = row["policy"] if one is None else one.policy.value
        if (ended_at, policy) != (row["ended_at"], row["policy"]):
            is_row = order_conflicts.c.id == row["id"]
            connection.execute(update(order_conflicts).where(is_row).values(ended_at=ended_at, policy=policy))
    for new in wanted.values():
        conflict = new.conflict
        values = {
            "study_uid": study_uid, "order": conflict.order, "check": conflict.check.value,
            "policy": new.policy.value, "images": conflict.images, "ordered": conflict.ordered, "since": now,
        }  # fmt: skip
        connection.execute(insert(order_conflicts), values)


_STAND: Final = (
    update(studies)
    .where(studies.c.study_uid == bindparam("the_study"), studies.c.order_standing != bindparam("the_standing"))
    .values(order_standing=bindparam("the_standing"))
)


def release(connection: Connection, study_uid: StudyInstanceUID, decision: Released) -> list[FoundConflict]:
    """Release what holds the study now; returns what was released."""
    lock(connection, lock_of(study_uid))
    rows = _OF_STUDY.rows(connection, {"the_study": study_uid})
    holding = {row["id"]: found for row in rows if row["ended_at"] is None and (found := _conflict(row)).holds}
    values = {"released_at": decision.at, "released_by": decision.person, "release_reason": decision.reason}
    if holding:
        connection.execute(update(order_conflicts).where(order_conflicts.c.id.in_(holding)).values(**values))
    return [replace(found, released=decision) for found in holding.values()]


_HELD_OF_PATIENT: Final = (
    select(studies.c.study_uid)
    .join(order_conflicts, order_conflicts.c.study_uid == studies.c.study_uid)
    .join(orders, orders.c.id == order_conflicts.c.order)
    .where(
        studies.c.order_standing == OrderStanding.HELD.value,
        order_conflicts.c.ended_at.is_(None),
        orders.c.patient == bindparam("the_patient"),
    )
    .distinct()
)


def held_for_patient(connection: Connection, patient: PatientRow) -> list[StudyInstanceUID]:
    """Studies that are held because an order of this patient states something else."""
    return list(connection.execute(_HELD_OF_PATIENT, {"the_patient": patient}).scalars())


_COUNTS: Final = (
    select(studies.c.order_standing, func.count())
    # In the words of the index.
    .where(studies.c.order_standing.not_in([EMPTY, word(OrderStanding.LINKED)]))
    .group_by(studies.c.order_standing)
)


def counts(connection: Connection) -> dict[str, int]:
    """How many studies need a person, or have no order; by how they stand."""
    return {OrderStanding(standing).value: number for standing, number in connection.execute(_COUNTS)}
