"""Patients whom nothing names any more: no order, no study, no performed step, no other patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from gateway.records.patient import Identity
from gateway.records.retention import Limits, RetentionKind, Stays
from gateway.store import legal_holds
from gateway.store import patients as patient_rows
from gateway.store.retention import messages as of_messages
from gateway.store.retention.performed_steps import identity_in
from gateway.store.retention.rule import Rule, Verdict, remove, unfinished
from gateway.store.schema import (
    EMPTY,
    messages,
    orders,
    outbox,
    patient_messages,
    patients,
    performed_steps,
    studies,
    work_tries,
)


def _hold(connection: Connection, ids: Sequence[int]) -> None:
    wanted = select(patients.c.patient_id, patients.c.issuer).where(patients.c.id.in_(ids))
    patient_rows.hold(connection, *(Identity(*row) for row in connection.execute(wanted)))


def _judge(connection: Connection, ids: Sequence[int], limits: Limits) -> Mapping[int, Stays]:
    verdict = Verdict()
    rows = connection.execute(select(patients).where(patients.c.id.in_(ids))).all()
    verdict.stay((row.id for row in rows if row.updated_at >= limits.before), Stays.CHANGED)
    verdict.stay(connection.execute(select(orders.c.patient).where(orders.c.patient.in_(ids))).scalars(), Stays.NAMED)
    if held := legal_holds.held(connection):
        verdict.stay((row.id for row in rows if held.has_patient(_identities(row))), Stays.HELD)
    verdict.stay(_merged(connection, rows), Stays.NAMED)
    verdict.stay(_with_studies(connection, rows), Stays.NAMED)
    verdict.stay(_with_performed_steps(connection, rows), Stays.NAMED)
    waiting = unfinished(connection, (f"patient-{row.id}" for row in rows))
    verdict.stay((row.id for row in rows if f"patient-{row.id}" in waiting), Stays.UNDELIVERED)
    newest = (
        select(patient_messages.c.patient)
        .join(messages, messages.c.id == patient_messages.c.message)
        .where(patient_messages.c.patient.in_(ids), messages.c.received_at >= limits.before)
    )
    verdict.stay(connection.execute(newest).scalars(), Stays.CHANGED)
    return verdict


def _identities(row: Any) -> list[Identity]:
    return [Identity(row.patient_id, row.issuer), *(Identity(*one) for one in row.former)]


def _merged(connection: Connection, rows: Sequence[Any]) -> Iterable[int]:
    """Identities that lead to a patient who is kept: by them the patient is found under an old number."""
    survivors = sorted({row.merged_into for row in rows if row.merged_into is not None})
    kept = set(connection.execute(select(patients.c.id).where(patients.c.id.in_(survivors))).scalars())
    return [row.id for row in rows if row.merged_into in kept]


def _with_studies(connection: Connection, rows: Sequence[Any]) -> Iterable[int]:
    numbers = sorted({one.patient_id for row in rows for one in _identities(row)})
    wanted = select(studies.c.patient_id, studies.c.patient_issuer).where(studies.c.patient_id.in_(numbers)).distinct()
    named = {Identity(*row) for row in connection.execute(wanted)}
    return [row.id for row in rows if _is_named(_identities(row), named)]


def _is_named(identities: Iterable[Identity], named: Collection[Identity]) -> bool:
    return any(
        one.patient_id == other.patient_id and ("" in (one.issuer, other.issuer) or one.issuer == other.issuer)
        for one in identities
        for other in named
    )


def _with_performed_steps(connection: Connection, rows: Sequence[Any]) -> Iterable[int]:
    numbers = sorted({one.patient_id for row in rows for one in _identities(row) if one.patient_id})
    column = performed_steps.c.patient_id
    # In the words of its index.
    wanted = select(performed_steps.c.attributes).where(column != EMPTY, column.in_(numbers))
    named = {identity_in(attributes) for attributes in connection.execute(wanted).scalars()}
    return [row.id for row in rows if _is_named(_identities(row), named)]


def delete(connection: Connection, ids: Sequence[int], _limits: Limits | None = None) -> Counter[str]:
    """Delete these patients, with the messages that spoke of nothing else."""
    tally: Counter[str] = Counter()
    wanted = select(patient_messages.c.message).where(patient_messages.c.patient.in_(ids))
    message_ids = list(connection.execute(wanted).scalars())
    remove(connection, tally, patient_messages, patient_messages.c.patient, ids)
    tally += of_messages.delete(connection, of_messages.without_subject(connection, message_ids))
    subjects = [f"patient-{one}" for one in ids]
    work = list(connection.execute(select(outbox.c.id).where(outbox.c.subject.in_(subjects))).scalars())
    remove(connection, tally, work_tries, work_tries.c.work, work)
    remove(connection, tally, outbox, outbox.c.id, work)
    remove(connection, tally, patients, patients.c.id, ids)
    return tally


PATIENTS = Rule(RetentionKind.PATIENTS, patients, None, _judge, delete, _hold)
