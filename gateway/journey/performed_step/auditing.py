"""The event of the audit trail that a change of a performed step is."""

from __future__ import annotations

from gateway.journey.performed_step.request import Request
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind
from gateway.records.order import Attributes
from gateway.records.performed_step import scheduled_items


def event_of_request(request: Request, attributes: Attributes, action: Action, state: str, moment: int) -> AuditEvent:
    """A modality began or changed a performed step, of which `attributes` are known by now."""
    modality = Actor(request.modality, ActorKind.SCANNER, request.address)
    return event_of_step(request.sop_uid, attributes, modality, action, moment, state=state)


def event_of_step(
    sop_uid: str, attributes: Attributes, actor: Actor, action: Action, moment: int, *, note: str = "", state: str = ""
) -> AuditEvent:
    """Somebody began, changed or linked a performed step."""
    items = scheduled_items(attributes)
    patient = str(attributes.get("PatientID") or "")
    return AuditEvent(
        AuditKind.PROCEDURE_RECORD, action, moment, actor, patients=(patient,) if patient else (),
        studies=tuple(dict.fromkeys(item.study_uid for item in items if item.study_uid)),
        accession_numbers=tuple(dict.fromkeys(item.accession_number for item in items if item.accession_number)),
        note=note, detail={"performed step": sop_uid, **({"state": state} if state else {})},
    )  # fmt: skip
