"""The event of the audit trail that a message is: whose records it created, changed or removed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.errors import UnknownSender
from gateway.journey.order_intake.reading import Reading, Received
from gateway.journey.order_intake.verdict import Verdict
from gateway.records.audit import (
    MOST_PATIENTS,
    Action,
    Actor,
    ActorKind,
    AuditEvent,
    AuditKind,
    AuditType,
    Outcome,
)
from gateway.records.message import APPLIED
from gateway.records.order import OrderedProcedure
from gateway.records.patient import PatientStatement
from gateway.records.row_ids import MessageRow
from gateway.records.step import StepEvent

_CREATED: Final = "created"
_REMOVES: Final = frozenset({"deleted", "tombstone"})


def event_of_message(received: Received, listener: str, verdict: Verdict, row: MessageRow) -> AuditEvent | None:
    """What `received` did; None for a message that is only kept or of a type that is not served."""
    reading = received.reading
    if reading.kept_only is not None or verdict.unserved:
        return None
    sender = Actor(received.identity["sender"], ActorKind.RIS, received.host)
    detail = {"message": str(row), "type": received.identity["type"], "listener": listener}
    if isinstance(reading.error, UnknownSender):
        return AuditEvent(
            AuditKind.SECURITY_ALERT, Action.EXECUTE, received.now, sender, AuditType.NODE_AUTHENTICATION,
            Outcome.MINOR_FAILURE, note="a message of a sender that is not listed was refused", detail=detail,
        )  # fmt: skip
    is_applied = verdict.state in APPLIED
    patients, numbers, studies = _subjects(reading)
    return AuditEvent(
        AuditKind.PATIENT_RECORD if _is_of_patient(reading) else AuditKind.ORDER_RECORD,
        _action(reading, verdict),
        received.now,
        sender,
        AuditType.NONE,
        Outcome.SUCCESS if is_applied else Outcome.MINOR_FAILURE,
        None,
        patients,
        studies,
        numbers,
        "" if is_applied else f"answered {verdict.code}",
        detail,
    )


def _is_of_patient(reading: Reading) -> bool:
    return bool(reading.statements) and isinstance(reading.statements[0], PatientStatement)


def _action(reading: Reading, verdict: Verdict) -> Action:
    outcomes = {*verdict.orders.values(), *verdict.patients.values()}
    if _CREATED in outcomes:
        return Action.CREATE
    events = {statement.event for statement in reading.statements if isinstance(statement, OrderedProcedure)}
    if outcomes & _REMOVES or events == {StepEvent.CANCEL}:
        return Action.DELETE
    return Action.UPDATE


def _subjects(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Patient IDs with those that end, accession numbers, Study Instance UIDs."""
    patients: list[str] = []
    numbers: list[str] = []
    studies: list[str] = []
    for statement in reading.statements:
        if isinstance(statement, PatientStatement):
            patients += [str(statement.attributes.get("PatientID") or ""), *(one.patient_id for one in statement.prior)]
        else:
            patients.append(str(statement.patient.get("PatientID") or ""))
            numbers.append(str(statement.order.get("AccessionNumber") or ""))
            studies.append(str(statement.procedure.get("StudyInstanceUID") or ""))
    return _each(patients), _each(numbers), _each(studies)


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, dict.fromkeys(values)))[:MOST_PATIENTS]
