"""Codes of the audit trail (DICOM PS3.16 CID 400 to 405), and which event each station records: the page
`docs/audit.md` is made of this table."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.records.audit import AuditKind, AuditType

DCM: Final = "DCM"


class AuditCode(NamedTuple):
    """A coded value."""

    code: str
    meaning: str
    system: str = DCM


EVENTS: Final[dict[AuditKind, AuditCode]] = {
    AuditKind.APPLICATION_ACTIVITY: AuditCode("110100", "Application Activity"),
    AuditKind.AUDIT_LOG_USED: AuditCode("110101", "Audit Log Used"),
    AuditKind.BEGINNING_TRANSFER: AuditCode("110102", "Begin Transferring DICOM Instances"),
    AuditKind.INSTANCES_ACCESSED: AuditCode("110103", "DICOM Instances Accessed"),
    AuditKind.INSTANCES_TRANSFERRED: AuditCode("110104", "DICOM Instances Transferred"),
    AuditKind.DATA_EXPORT: AuditCode("110106", "Export"),
    AuditKind.DATA_IMPORT: AuditCode("110107", "Import"),
    AuditKind.ORDER_RECORD: AuditCode("110109", "Order Record"),
    AuditKind.PATIENT_RECORD: AuditCode("110110", "Patient Record"),
    AuditKind.PROCEDURE_RECORD: AuditCode("110111", "Procedure Record"),
    AuditKind.QUERY: AuditCode("110112", "Query"),
    AuditKind.SECURITY_ALERT: AuditCode("110113", "Security Alert"),
    AuditKind.USER_AUTHENTICATION: AuditCode("110114", "User Authentication"),
}
"""EventID (CID 400)."""
TYPES: Final[dict[AuditType, AuditCode]] = {
    AuditType.START: AuditCode("110120", "Application Start"),
    AuditType.STOP: AuditCode("110121", "Application Stop"),
    AuditType.LOGIN: AuditCode("110122", "Login"),
    AuditType.LOGOUT: AuditCode("110123", "Logout"),
    AuditType.NODE_AUTHENTICATION: AuditCode("110126", "Node Authentication"),
    AuditType.NETWORK_CONFIGURATION: AuditCode("110128", "Network Configuration"),
    AuditType.SECURITY_CONFIGURATION: AuditCode("110129", "Security Configuration"),
    AuditType.SOFTWARE_CONFIGURATION: AuditCode("110131", "Software Configuration"),
    AuditType.USE_OF_RESTRICTED_FUNCTION: AuditCode("110132", "Use of Restricted Function"),
    AuditType.AUDIT_RECORDING_STOPPED: AuditCode("110133", "Audit Recording Stopped"),
    AuditType.AUDIT_RECORDING_STARTED: AuditCode("110134", "Audit Recording Started"),
}
"""EventTypeCode (CID 401)."""
APPLICATION: Final = AuditCode("110150", "Application")
DESTINATION: Final = AuditCode("110152", "Destination Role ID")
SOURCE: Final = AuditCode("110153", "Source Role ID")
STUDY: Final = AuditCode("110180", "Study Instance UID")
SOP_CLASS: Final = AuditCode("110181", "SOP Class UID")
PATIENT_NUMBER: Final = AuditCode("2", "Patient Number", "RFC-3881")
URI: Final = AuditCode("12", "URI", "RFC-3881")


class AuditedEvent(NamedTuple):
    """When an event is recorded."""

    kind: AuditKind
    actions: str
    """EventActionCode; several: by what happened."""
    when: str
    who: str
    """The active participants."""


RECORDED: Final = (
    AuditedEvent(AuditKind.APPLICATION_ACTIVITY, "E", "the gateway starts, stops", "gateway"),
    AuditedEvent(AuditKind.ORDER_RECORD, "C U D", "an HL7 order, result or appointment was processed", "RIS, gateway"),
    AuditedEvent(AuditKind.PATIENT_RECORD, "C U D", "an ADT message or a merge was processed", "RIS, gateway"),
    AuditedEvent(
        AuditKind.QUERY, "E", "a worklist query, over DIMSE or DICOMweb, was answered; a search of `/fhir`, or "
        "for studies over DICOMweb",
        "scanner or client, gateway",
    ),
    AuditedEvent(
        AuditKind.PROCEDURE_RECORD, "C U", "a performed step began or changed (MPPS), was linked or unlinked by hand",
        "scanner or person, gateway",
    ),
    AuditedEvent(
        AuditKind.BEGINNING_TRANSFER, "E", "the first instance of a study came over an association", "sender, gateway",
    ),
    AuditedEvent(
        AuditKind.INSTANCES_TRANSFERRED, "C R",
        "an association ended (or ten minutes passed): an event for each study, with the number of its instances; "
        "instances were retrieved over DICOMweb", "sender or person, gateway",
    ),
    AuditedEvent(
        AuditKind.DATA_EXPORT, "R",
        "an EHR, a RIS or an archive has taken a resource, a status or a performed step; data was exported",
        "gateway or person, receiver",
    ),
    AuditedEvent(
        AuditKind.PATIENT_RECORD, "R", "a person or client looked at orders, messages or a journey: an event for each "
        "page or answer, with the patients shown", "person or client",
    ),
    AuditedEvent(AuditKind.INSTANCES_ACCESSED, "R U D", "a person or client looked at studies, or changed them",
                 "person or client"),
    AuditedEvent(AuditKind.USER_AUTHENTICATION, "E", "a login, a logout, a login that failed", "person"),
    AuditedEvent(
        AuditKind.SECURITY_ALERT, "E",
        "a peer was refused; the configuration was reloaded; a person used what is for operators and admins; the chain "
        "is broken; a repository was not sent all", "peer or person",
    ),
    AuditedEvent(
        AuditKind.AUDIT_LOG_USED, "R D", "the trail was looked at, exported or verified; old rows were removed",
        "person or gateway",
    ),
)  # fmt: skip
"""What the gateway records."""
