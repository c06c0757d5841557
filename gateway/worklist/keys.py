"""The matching and return keys of the Modality Worklist Information Model (PS3.4 Table K.6-1), as data."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.worklist.items import WILDCARD_VRS


class KeyTypes(NamedTuple):
    """What the standard asks of an attribute."""

    matching: str
    """R: required matching key; O: optional; empty: never a key."""
    returned: str
    """Return key type: 1, 2, 1C, 2C or 3."""


_R1, _R2, _O1, _O2, _O3 = (
    KeyTypes("R", "1"),
    KeyTypes("R", "2"),
    KeyTypes("O", "1"),
    KeyTypes("O", "2"),
    KeyTypes("O", "3"),
)
OTHERS: Final = _O3
"""Of an attribute that the table does not list: all other attributes of step, procedure, request, visit and patient."""
OF_STEP: Final[dict[str, KeyTypes]] = {
    "ScheduledStationAETitle": _R1,
    "ScheduledProcedureStepStartDate": _R1,
    "ScheduledProcedureStepStartTime": _R1,
    "Modality": _R1,
    "ScheduledPerformingPhysicianName": _R2,
    "ScheduledProcedureStepDescription": KeyTypes("O", "1C"),
    "ScheduledStationName": _O2,
    "ScheduledProcedureStepLocation": _O2,
    "ScheduledProtocolCodeSequence": KeyTypes("O", "1C"),
    "ScheduledProcedureStepID": _O1,
    "PreMedication": KeyTypes("O", "2C"),
    "RequestedContrastAgent": KeyTypes("O", "2C"),
    "ScheduledProcedureStepStatus": _O3,
}
"""Attributes within the Scheduled Procedure Step Sequence."""
OF_ROOT: Final[dict[str, KeyTypes]] = {
    "SpecificCharacterSet": KeyTypes("", "1C"),
    "TimezoneOffsetFromUTC": KeyTypes("", "1C"),
    "HL7StructuredDocumentReferenceSequence": KeyTypes("", "3"),
    "ScheduledProcedureStepSequence": _R1,
    "RequestedProcedureID": _O1,
    "RequestedProcedureDescription": KeyTypes("O", "1C"),
    "RequestedProcedureCodeSequence": KeyTypes("O", "1C"),
    "StudyInstanceUID": _O1,
    "ReferencedStudySequence": _O2,
    "RequestedProcedurePriority": _O2,
    "PatientTransportArrangements": _O2,
    "AccessionNumber": _O2,
    "RequestingPhysician": _O2,
    "ReferringPhysicianName": _O2,
    "AdmissionID": _O2,
    "CurrentPatientLocation": _O2,
    "ReferencedPatientSequence": _O2,
    "PatientName": _R1,
    "PatientID": _R1,
    "PatientBirthDate": _O2,
    "PatientSex": _O2,
    "PatientWeight": _O2,
    "ConfidentialityConstraintOnPatientDataDescription": _O2,
    "PatientState": _O2,
    "SpecialNeeds": _O2,
    "PregnancyStatus": _O2,
    "MedicalAlerts": _O2,
    "Allergies": _O2,
}
"""Attributes beside the sequence."""
_MATCHING: Final = {
    **dict.fromkeys(WILDCARD_VRS, "single value, wildcard"),
    **dict.fromkeys(("DA", "TM", "DT"), "single value, range"),
    "UI": "list of UIDs",
    "SQ": "sequence",
}


def matching_of(vr: str, types: KeyTypes) -> str:
    """The kinds of matching that a key of a VR has beside universal matching; empty for what is no key."""
    return _MATCHING.get(vr, "single value") if types.matching else ""
