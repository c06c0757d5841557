"""Performed steps. Those of an order go with it; the others have an age of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from gateway.records.legal_hold import Held
from gateway.records.order import Attributes
from gateway.records.patient import Identity
from gateway.records.performed_step import scheduled_items
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.store import legal_holds
from gateway.store.engine import lock
from gateway.store.performed_steps import keys_of
from gateway.store.retention import work
from gateway.store.retention.rule import Rule, Verdict, of_orders, remove, unfinished
from gateway.store.schema import (
    link_changes,
    performed_step_links,
    performed_steps,
    studies,
    study_evidence,
    unlinked_items,
)

IS_BEGUN: Final = (performed_steps.c.state == "IN PROGRESS") & performed_steps.c.ended_at.is_(None)
"""It goes on: neither its modality nor a rule has ended it."""


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    uids = connection.execute(select(performed_steps.c.sop_uid).where(performed_steps.c.id.in_(ids))).scalars()
    lock(connection, *(key for uid in uids for key in keys_of(uid)))


def subjects_of(sop_uid: str, attributes: Attributes) -> set[str]:
    """What work of a performed step may be about: the Study Instance UIDs that it states, or itself."""
    return {sop_uid, *(one.study_uid for one in scheduled_items(attributes) if one.study_uid)}


def identity_in(attributes: Attributes) -> Identity:
    """The patient whom the modality states."""
    return Identity(str(attributes.get("PatientID") or ""), str(attributes.get("IssuerOfPatientID") or ""))


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    rows = connection.execute(select(performed_steps).where(performed_steps.c.id.in_(ids))).all()
    links = performed_step_links
    linked = connection.execute(select(links.c.performed_step).where(links.c.performed_step.in_(ids))).scalars()
    verdict = Verdict()
    verdict.stay(linked, Stays.ORDER)
    verdict.stay((row.id for row in rows if row.state == "IN PROGRESS" and row.ended_at is None), Stays.IN_PROGRESS)
    verdict.stay((row.id for row in rows if row.updated_at >= limits.before), Stays.CHANGED)
    if held := legal_holds.held(connection):
        verdict.stay((row.id for row in rows if _is_held(row.accession, row.attributes, held)), Stays.HELD)
    subjects = {row.id: subjects_of(row.sop_uid, row.attributes) for row in rows}
    waiting = unfinished(connection, (one for of_row in subjects.values() for one in of_row))
    verdict.stay((row for row, of_row in subjects.items() if of_row & waiting), Stays.UNDELIVERED)
    return verdict


def _is_held(accession: str, attributes: Attributes, held: Held) -> bool:
    numbers = {accession, *(one.accession_number for one in scheduled_items(attributes))}
    return bool(numbers & held.accession_numbers) or held.has_patient([identity_in(attributes)])


def delete(connection: Connection, ids: Sequence[int], _limits: Limits | None = None) -> Counter[str]:
    """Delete these performed steps, which no order has any more."""
    tally: Counter[str] = Counter()
    if not ids:
        return tally
    columns = (performed_steps.c.sop_uid, performed_steps.c.attributes)
    rows = connection.execute(select(*columns).where(performed_steps.c.id.in_(ids))).all()
    for table in (performed_step_links, unlinked_items, link_changes):
        remove(connection, tally, table, table.c.performed_step, ids)
    remove(connection, tally, performed_steps, performed_steps.c.id, ids)
    subjects = sorted({one for row in rows for one in subjects_of(row.sop_uid, row.attributes)})
    of_nothing_else = _of_nothing_else(connection, subjects)
    # What the performed step has stated of a study that never came.
    remove(connection, tally, study_evidence, study_evidence.c.study_uid, sorted(of_nothing_else))
    work.delete_of(connection, tally, of_nothing_else)
    return tally


def _of_nothing_else(connection: Connection, subjects: Sequence[str]) -> set[str]:
    """Those of these subjects that are neither of a study nor of an order that is kept."""
    of_studies = select(studies.c.study_uid).where(studies.c.study_uid.in_(subjects))
    return set(subjects) - of_orders(connection, subjects) - set(connection.execute(of_studies).scalars())


PERFORMED_STEPS = Rule(
    RetentionKind.PERFORMED_STEPS, performed_steps, performed_steps.c.created_at, _judge, delete, _hold
)
