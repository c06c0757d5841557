"""An event of each kind, as the stations record them, and the schema of audit messages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lxml import etree

from gateway.records.audit import GATEWAY, Action, Actor, ActorKind, AuditEvent, AuditKind, AuditType, Outcome

_SCHEMA: Final = etree.RelaxNG(etree.parse(Path(__file__).with_name("audit_message.rng")))
MOMENT: Final = 1_796_000_000_123_456
CT: Final = Actor("CT1", ActorKind.SCANNER, "192.0.2.7")
RIS: Final = Actor("RIS|HOSP", ActorKind.RIS, "192.0.2.1")
EVE: Final = Actor("eve", ActorKind.PERSON, "192.0.2.9", "operator")
EVENTS: Final = (
    AuditEvent(AuditKind.APPLICATION_ACTIVITY, Action.EXECUTE, MOMENT, GATEWAY, AuditType.START),
    AuditEvent(
        AuditKind.ORDER_RECORD, Action.CREATE, MOMENT, RIS, patients=("P1", "P2"), studies=("1.2.3",),
        accession_numbers=("A1",), detail={"message": "7", "type": "ORM^O01"},
    ),
    AuditEvent(
        AuditKind.QUERY, Action.EXECUTE, MOMENT, CT, patients=("P1",),
        detail={"query": "CAAgAAA=", "SOP class": "1.2.840.10008.5.1.4.31", "TransferSyntax": "1.2.840.10008.1.2"},
    ),
    AuditEvent(
        AuditKind.INSTANCES_TRANSFERRED, Action.CREATE, MOMENT, CT, patients=("P1",), studies=("1.2.3",),
        accession_numbers=("A1",), detail={"instances": "1.2.840.10008.5.1.4.1.1.2=3 1.2.840.10008.5.1.4.1.1.7=1"},
    ),
    AuditEvent(
        AuditKind.PROCEDURE_RECORD, Action.UPDATE, MOMENT, CT, patients=("P1",), studies=("1.2.3",),
        detail={"performed step": "1.2.4"},
    ),
    AuditEvent(
        AuditKind.DATA_EXPORT, Action.READ, MOMENT, GATEWAY, peer=Actor("ehr", ActorKind.EHR, "ehr.example.org"),
        patients=("P1",), studies=("1.2.3",),
    ),
    AuditEvent(AuditKind.PATIENT_RECORD, Action.READ, MOMENT, EVE, patients=("P\0\x1b1",), note="<looked> & left\n"),
    AuditEvent(AuditKind.INSTANCES_ACCESSED, Action.READ, MOMENT, EVE, studies=("1.2.3",)),
    AuditEvent(AuditKind.USER_AUTHENTICATION, Action.EXECUTE, MOMENT, EVE, AuditType.LOGIN, Outcome.MINOR_FAILURE),
    AuditEvent(AuditKind.SECURITY_ALERT, Action.EXECUTE, MOMENT, CT, AuditType.NODE_AUTHENTICATION,
               Outcome.SERIOUS_FAILURE, note="not among the peers", detail={"calling": "CT1"}),
    AuditEvent(AuditKind.AUDIT_LOG_USED, Action.READ, MOMENT, EVE, detail={"filter": "patient=P1"}),
)  # fmt: skip


def faults(message: bytes) -> list[str]:
    """What the schema of PS3.15 A.5.1 says against an audit message."""
    _SCHEMA.validate(etree.fromstring(message))
    return [str(entry) for entry in _SCHEMA.error_log]
