"""Legal holds: a person keeps a patient or an order from every deletion, and takes that back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.errors import InvalidValue, UnknownKey
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind
from gateway.records.legal_hold import HoldOn, LegalHold
from gateway.store import audit, legal_holds
from gateway.store.schema import orders, patients, performed_steps, studies


@dataclass(frozen=True, slots=True)
class HoldDecision:
    person: str
    note: str
    at: int
    """Microseconds since 1970 UTC."""
    role: str = ""
    """Of the person, where a login knows it."""


def meant(connection: Connection, number: str, *, issuer: str = "") -> LegalHold:
    """What a number means: a Patient ID, or an accession number where none is given as `issuer`.

    Raises `UnknownKey` where nothing here has it, `InvalidValue` where it is both.
    """
    of_patient = [
        select(patients.c.id).where(patients.c.patient_id == number),
        select(studies.c.id).where(studies.c.patient_id == number),
        select(performed_steps.c.id).where(performed_steps.c.patient_id == number, performed_steps.c.patient_id != ""),
    ]
    of_order = [
        select(orders.c.id).where(orders.c.accession == number),
        select(studies.c.id).where(studies.c.accession == number),
        select(performed_steps.c.id).where(performed_steps.c.accession == number),
    ]
    is_patient = any(connection.execute(one.limit(1)).first() for one in of_patient)
    is_order = not issuer and any(connection.execute(one.limit(1)).first() for one in of_order)
    if is_patient and is_order:
        raise InvalidValue("it is a Patient ID and an accession number: say which", place=number)
    if is_order:
        return LegalHold(HoldOn.ACCESSION, number)
    if is_patient:
        return LegalHold(HoldOn.PATIENT, number, issuer)
    raise UnknownKey("no patient, order or study has this number; say which it is to hold what may come", place=number)


def hold(connection: Connection, wanted: LegalHold, decision: HoldDecision) -> int:
    """Put a legal hold in force; its row. Raises `InvalidValue` without a note, `Conflict` when it is in force."""
    if not decision.note.strip():
        raise InvalidValue("a legal hold needs a note: why, for those who come later", place="note")
    row = legal_holds.begin(connection, wanted, person=decision.person, note=decision.note, now=decision.at)
    audit.record(connection, _event(wanted, decision, f"legal hold: {decision.note}"))
    return row


def release(connection: Connection, wanted: LegalHold, decision: HoldDecision) -> None:
    """Take a legal hold back. Raises `InvalidValue` without a note, `UnknownKey` when it is not in force."""
    if not decision.note.strip():
        raise InvalidValue("a release needs a note: why, for those who come later", place="note")
    legal_holds.end(connection, wanted, person=decision.person, note=decision.note, now=decision.at)
    audit.record(connection, _event(wanted, decision, f"legal hold released: {decision.note}"))


def _event(wanted: LegalHold, decision: HoldDecision, note: str) -> AuditEvent:
    actor = Actor(decision.person, ActorKind.PERSON, role=decision.role)
    is_patient = wanted.on is HoldOn.PATIENT
    return AuditEvent(
        AuditKind.PATIENT_RECORD if is_patient else AuditKind.ORDER_RECORD, Action.UPDATE, decision.at, actor,
        patients=(wanted.value,) if is_patient else (), accession_numbers=() if is_patient else (wanted.value,),
        note=note,
    )  # fmt: skip
