"""Events as DICOM audit messages: the schema of the standard, its codes, and whatever peers have written."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from lxml import etree

from gateway.operations.audit.dicom_message import AuditSource, dicom_message
from gateway.operations.audit.fhir_event import fhir_event
from gateway.records.audit import GATEWAY, Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType
from gateway.records.audit_codes import EVENTS as EVENT_IDS
from gateway.records.audit_codes import RECORDED, TYPES
from tests.operations.audit.events import EVENTS, MOMENT, faults

SOURCE = AuditSource("Test site", "gateway1", "192.0.2.100")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind.value)
def test_an_event_is_a_valid_message(event: AuditEvent) -> None:
    assert faults(dicom_message(event, SOURCE)) == []


def test_the_schema_refuses_what_is_none() -> None:
    whole = dicom_message(EVENTS[1], SOURCE)
    assert faults(whole.replace(b'EventActionCode="C"', b'EventActionCode="X"'))
    assert faults(whole.replace(b"<ParticipantObjectName />", b""))


def test_each_kind_and_type_has_a_code() -> None:
    assert set(EVENT_IDS) == set(AuditKind)
    assert set(TYPES) == set(AuditType) - {AuditType.NONE}
    assert {event.kind for event in RECORDED} <= set(EVENT_IDS)


def _message(kind: AuditKind) -> Any:
    [event] = [one for one in EVENTS if one.kind is kind]
    return etree.fromstring(dicom_message(event, SOURCE))


@pytest.mark.parametrize(
    ("address", "kind"),
    [("192.0.2.7", "2"), ("pacs.example.org", "1"), ("https://vna.example.org/dicom-web/studies", "5")],
)
def test_where_instances_went(address: str, kind: str) -> None:
    archive = Actor("vna", ActorKind.ARCHIVE, address)
    event = AuditEvent(AuditKind.INSTANCES_TRANSFERRED, Action.READ, MOMENT, GATEWAY, peer=archive, studies=("1.2.3",))
    written = dicom_message(event, SOURCE)
    assert faults(written) == []
    place = etree.fromstring(written).find("ActiveParticipant[@UserID='vna']")
    assert place is not None
    assert (place.get("NetworkAccessPointID"), place.get("NetworkAccessPointTypeCode")) == (address, kind)
    agents = fhir_event(event, SOURCE)["agent"]
    assert {"address": address, "type": kind} in [one.get("network") for one in agents]


def test_a_query() -> None:
    message = _message(AuditKind.QUERY)
    assert message.xpath("EventIdentification/EventID/@csd-code") == ["110112"]
    assert message.xpath("ActiveParticipant/RoleIDCode/@csd-code") == ["110153", "110152"]
    assert message.xpath("ActiveParticipant/@UserID") == ["CT1", "gateway"]
    [query] = message.xpath("//ParticipantObjectQuery/text()")
    assert base64.b64decode(query) == b"\x08\x00\x20\x00\x00"
    assert message.xpath("//ParticipantObjectDetail/@type") == ["TransferSyntax"]


def test_a_study_that_came() -> None:
    message = _message(AuditKind.INSTANCES_TRANSFERRED)
    [study, patient] = message.xpath("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert study.xpath("ParticipantObjectIDTypeCode/@csd-code") == ["110180"]
    assert study.xpath(".//SOPClass/@NumberOfInstances") == ["3", "1"]
    assert study.xpath(".//Accession/@Number") == ["A1"]
    assert (patient.get("ParticipantObjectTypeCode"), patient.get("ParticipantObjectTypeCodeRole")) == ("1", "1")


def test_what_no_xml_holds_is_escaped() -> None:
    [shown] = _message(AuditKind.PATIENT_RECORD).xpath("//@ParticipantObjectID")
    assert shown == r"P\x00\x1b1"
