"""An event as a DICOM audit message (PS3.15 A.5.1), for repositories and exports."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gateway.observe.quoting import printable
from gateway.records import audit_codes as codes
from gateway.records.audit import Actor, ActorKind, AuditEvent, AuditKind, AuditType
from gateway.records.audit_codes import AuditCode

QUERY: Final = "query"
"""Names the detail of a query: the data set in base64, or the query string of a web request."""
SOP_CLASS: Final = "SOP class"
"""Names the detail that holds the SOP class of a query."""
INSTANCES: Final = "instances"
"""Names the detail with the number of instances by SOP class: `UID=3 UID=1`."""
MPPS: Final = "performed step"
TRAIL_URI: Final = "urn:imaging-gateway:audit"


@dataclass(frozen=True, slots=True)
class AuditSource:
    """Who reports (AuditSourceIdentification)."""

    site: str
    """AuditEnterpriseSiteID; empty: not stated."""
    name: str
    """AuditSourceID."""
    address: str = ""
    """Of the gateway itself, where it takes part."""


def dicom_message(event: AuditEvent, source: AuditSource) -> bytes:
    """UTF-8 XML of `event`."""
    message = Element("AuditMessage")
    _identify(message, event)
    for actor, role, is_requestor in _participants(event):
        _add_participant(message, actor, role, is_requestor=is_requestor, source=source)
    reporter = SubElement(message, "AuditSourceIdentification", {"AuditSourceID": source.name})
    if source.site:
        reporter.set("AuditEnterpriseSiteID", printable(source.site))
    SubElement(reporter, "AuditSourceTypeCode", {"csd-code": "4"})
    _add_objects(message, event)
    # On one line: collectors write a line for each message.
    written: bytes = ElementTree.tostring(message, encoding="utf-8", xml_declaration=False)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + written


def _identify(message: Element, event: AuditEvent) -> None:
    moment = datetime.fromtimestamp(event.moment / 1_000_000, UTC).isoformat(timespec="milliseconds")
    identification = SubElement(message, "EventIdentification", {
        "EventActionCode": event.action.value, "EventDateTime": moment.replace("+00:00", "Z"),
        "EventOutcomeIndicator": str(int(event.outcome)),
    })  # fmt: skip
    _add_code(identification, "EventID", codes.EVENTS[event.kind])
    if event.type is not AuditType.NONE:
        _add_code(identification, "EventTypeCode", codes.TYPES[event.type])
    if event.note:
        SubElement(identification, "EventOutcomeDescription").text = printable(event.note)


def _participants(event: AuditEvent) -> Iterator[tuple[Actor, AuditCode | None, bool]]:
    """Who takes part, in which role, and whether it is the one who began."""
    own = Actor("gateway", ActorKind.GATEWAY)
    if event.kind is AuditKind.APPLICATION_ACTIVITY:
        yield event.actor, codes.APPLICATION, event.actor.kind is not ActorKind.GATEWAY
        return
    is_of_person = event.actor.kind is ActorKind.PERSON
    yield event.actor, None if is_of_person else codes.SOURCE, True
    if event.peer is not None or event.actor.kind is not ActorKind.GATEWAY:
        yield event.peer or own, codes.APPLICATION if is_of_person else codes.DESTINATION, False


def _add_participant(
    message: Element, actor: Actor, role: AuditCode | None, *, is_requestor: bool, source: AuditSource
) -> None:
    participant = SubElement(message, "ActiveParticipant", {
        "UserID": printable(actor.name) or actor.kind.value, "UserIsRequestor": "true" if is_requestor else "false",
    })  # fmt: skip
    address = actor.address or (source.address if actor.kind is ActorKind.GATEWAY else "")
    if address:
        participant.set("NetworkAccessPointID", printable(address))
        participant.set("NetworkAccessPointTypeCode", _access_point_type(address))
    if role is not None:
        _add_code(participant, "RoleIDCode", role)
    if actor.role:
        _add_code(participant, "RoleIDCode", AuditCode(actor.role, actor.role, "imaging-gateway"))


def _access_point_type(address: str) -> str:
    """URI, IP address, or name of a machine (PS3.15 A.5.3.2)."""
    if "://" in address:
        return "5"
    return "2" if _is_ip(address) else "1"


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _add_objects(message: Element, event: AuditEvent) -> None:
    """What the event is about; what else is known of it belongs to the first object."""
    rest = {name: value for name, value in event.detail.items() if name not in (QUERY, SOP_CLASS, INSTANCES)}
    if event.accession_numbers and not event.studies:
        rest["accession numbers"] = " ".join(event.accession_numbers)
    for kind, role, code, identifier in _objects(event):
        attributes = {"ParticipantObjectID": printable(identifier), "ParticipantObjectTypeCode": kind,
                      "ParticipantObjectTypeCodeRole": role}  # fmt: skip
        entry = SubElement(message, "ParticipantObjectIdentification", attributes)
        _add_code(entry, "ParticipantObjectIDTypeCode", code)
        if code is codes.SOP_CLASS:
            SubElement(entry, "ParticipantObjectQuery").text = event.detail.get(QUERY, "")
        else:
            SubElement(entry, "ParticipantObjectName").text = ""
        for name, value in rest.items():
            SubElement(entry, "ParticipantObjectDetail", {"type": name, "value": _base64(value)})
        rest = {}
        if code is codes.STUDY:
            _describe(entry, event)


def _objects(event: AuditEvent) -> Iterator[tuple[str, str, AuditCode, str]]:
    """ParticipantObjectTypeCode, its role, the kind of the identifier, and the identifier."""
    if event.kind is AuditKind.QUERY:
        yield "2", "3", codes.SOP_CLASS, event.detail.get(SOP_CLASS, "")
    if event.kind is AuditKind.AUDIT_LOG_USED:
        yield "2", "13", codes.URI, TRAIL_URI
    for study in event.studies:
        yield "2", "3", codes.STUDY, study
    for patient in event.patients:
        yield "1", "1", codes.PATIENT_NUMBER, patient
    if event.kind is AuditKind.SECURITY_ALERT:
        yield "2", "13", codes.URI, "urn:imaging-gateway"


def _describe(entry: Element, event: AuditEvent) -> None:
    """Performed step, accession numbers and SOP classes of a study (PS3.15 A.5.1, ParticipantObjectDescription)."""
    description = SubElement(entry, "ParticipantObjectDescription")
    if step := event.detail.get(MPPS):
        SubElement(description, "MPPS", {"UID": printable(step)})
    for number in event.accession_numbers:
        SubElement(description, "Accession", {"Number": printable(number)})
    for counted in event.detail.get(INSTANCES, "").split():
        sop_class, _, number = counted.partition("=")
        SubElement(description, "SOPClass", {"UID": sop_class, "NumberOfInstances": number})


def _add_code(parent: Element, tag: str, code: AuditCode) -> None:
    SubElement(
        parent, tag, {"csd-code": code.code, "codeSystemName": code.system, "originalText": code.meaning}
    )  # fmt: skip


def _base64(value: str) -> str:
    return base64.b64encode(value.encode(errors="replace")).decode()
