"""An event as a FHIR R4 AuditEvent, after the Basic Audit Log Patterns of IHE (BALP 1.1.5): the same codes as in a
DICOM audit message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from gateway.operations.audit.dicom_message import AuditSource
from gateway.records import audit_codes as codes
from gateway.records.audit import Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType
from gateway.records.audit_codes import AuditCode

DCM_SYSTEM: Final = "http://dicom.nema.org/resources/ontology/DCM"
EVENT_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTIONS: Final = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ENTITY_ROLES: Final = "http://terminology.hl7.org/CodeSystem/object-role"
TRANSACTION: Final = {
    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId",
}  # fmt: skip
PROFILES: Final = {
    Action.CREATE: "IHE.BasicAudit.PatientCreate", Action.READ: "IHE.BasicAudit.PatientRead",
    Action.UPDATE: "IHE.BasicAudit.PatientUpdate", Action.DELETE: "IHE.BasicAudit.PatientDelete",
}  # fmt: skip
"""Of what a REST request did to a resource of a patient."""
_PROFILE_BASE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"


def fhir_event(event: AuditEvent, source: AuditSource) -> dict[str, Any]:
    """The AuditEvent of `event`. A write of a resource to an EHR is one of REST, everything else has its DICOM code."""
    interaction = _interaction(event)
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        **({"meta": {"profile": [_PROFILE_BASE + PROFILES[interaction]]}} if interaction and event.patients else {}),
        "type": {"system": EVENT_TYPES, "code": "rest"} if interaction else _coding(codes.EVENTS[event.kind]),
        "action": (interaction or event.action).value,
        "recorded": datetime.fromtimestamp(event.moment / 1_000_000, UTC).isoformat(timespec="milliseconds"),
        "outcome": str(int(event.outcome)),
        "agent": [_agent(actor, code, is_requestor=first) for actor, code, first in _agents(event)],
        "source": {"observer": {"display": source.name}, **({"site": source.site} if source.site else {})},
    }
    if interaction:
        resource["subtype"] = [{"system": INTERACTIONS, "code": _INTERACTION_NAMES[interaction]}]
    elif event.type is not AuditType.NONE:
        resource["subtype"] = [_coding(codes.TYPES[event.type])]
    if event.note:
        resource["outcomeDesc"] = _string(event.note)
    if entities := list(_entities(event)):
        resource["entity"] = entities
    return resource


_INTERACTION_NAMES: Final = {Action.CREATE: "create", Action.UPDATE: "update"}


def _interaction(event: AuditEvent) -> Action | None:
    """What a write of a resource to an EHR was; None for every other event."""
    if event.kind is not AuditKind.DATA_EXPORT or event.peer is None or event.peer.kind is not ActorKind.EHR:
        return None
    return Action.CREATE if event.detail.get("status") == "201" else Action.UPDATE


def _string(text: str) -> str:
    """A text of a peer as a FHIR string, which has no control characters but for the ends of lines and tabs."""
    return "".join(one if one in "\t\n\r" or one.isprintable() else "\ufffd" for one in text)


def _coding(code: AuditCode) -> dict[str, str]:
    return {"system": DCM_SYSTEM, "code": code.code, "display": code.meaning}


def _agents(event: AuditEvent) -> Iterator[tuple[Actor, AuditCode, bool]]:
    own = Actor("gateway", ActorKind.GATEWAY)
    yield event.actor, codes.SOURCE, True
    yield event.peer or own, codes.DESTINATION, False


def _agent(actor: Actor, code: AuditCode, *, is_requestor: bool) -> dict[str, Any]:
    agent: dict[str, Any] = {
        "type": {"coding": [_coding(code)]}, "who": {"display": _string(actor.name) or actor.kind.value},
        "requestor": is_requestor,
    }  # fmt: skip
    if actor.role:
        agent["role"] = [{"text": actor.role}]
    if actor.address:
        kind = "5" if "://" in actor.address else "2" if actor.address[:1].isdigit() else "1"
        agent["network"] = {"address": actor.address, "type": kind}
    return agent


def _entities(event: AuditEvent) -> Iterator[dict[str, Any]]:
    for patient in event.patients:
        yield {
            "what": {"identifier": {"value": _string(patient)}}, "type": {"system": ENTITY_TYPES, "code": "1"},
            "role": {"system": ENTITY_ROLES, "code": "1"},
        }  # fmt: skip
    if written := event.detail.get("resource"):
        yield {
            "what": {"reference": written}, "type": {"system": ENTITY_TYPES, "code": "2"},
            "role": {"system": ENTITY_ROLES, "code": "4"},
        }  # fmt: skip
    for study in event.studies:
        identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}
        yield {"what": {"identifier": identifier}, "type": {"system": ENTITY_TYPES, "code": "2"}}
    if request := event.detail.get("request"):
        yield {"what": {"identifier": {"value": request}}, "type": TRANSACTION}
    if query := event.detail.get("query"):
        yield {"type": {"system": ENTITY_TYPES, "code": "2"}, "query": query}
