"""What the first study after a start would wait for, done beside the start by a study that is not there: SQLAlchemy
compiles a statement when it is first run, and models are loaded when a resource of them is first checked."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.study import Instance, LinkedOrder, Series, Study
from gateway.store import completeness, deleted_studies, moved_instances, studies, study_findings

_UID: Final = StudyInstanceUID("2.25.0")
_NUMBER: Final = AccessionNumber("0")


_CODE: Final = {"CodeValue": "0", "CodingSchemeDesignator": "99NONE", "CodeMeaning": "none"}
_OF_STUDY: Final = {
    "StudyInstanceUID": _UID, "PatientID": "0", "IssuerOfPatientID": "NONE", "PatientName": "NONE",
    "AccessionNumber": _NUMBER, "StudyID": "0", "StudyDate": "20000101", "StudyTime": "0000",
    "StudyDescription": "none", "ReferringPhysicianName": "NONE", "ProcedureCodeSequence": [_CODE],
}  # fmt: skip
_OF_SERIES: Final = {
    "SeriesInstanceUID": "2.25.1", "Modality": "CT", "SeriesNumber": "1", "SeriesDescription": "none",
    "SeriesDate": "20000101", "SeriesTime": "0000", "BodyPartExamined": "CHEST", "PerformingPhysicianName": "NONE",
    "Manufacturer": "NONE", "ManufacturerModelName": "none", "StationName": "NONE",
}  # fmt: skip
_OF_INSTANCE: Final = {
    "SOPInstanceUID": "2.25.2", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "InstanceNumber": "1",
}  # fmt: skip
MADE_UP: Final = Study(
    _UID,
    _OF_STUDY,
    (Series("2.25.1", _OF_SERIES, (Instance("2.25.2", _OF_INSTANCE["SOPClassUID"], _OF_INSTANCE),)),),
    (LinkedOrder(_NUMBER, "NONE", "0", "NONE", "0", "NONE"),),
)
"""A study with what most have: its resource has the elements that take models of their own."""


def look(connection: Connection) -> None:
    """Ask what a study that settles asks."""
    completeness.of_study(connection, _UID)
    moved_instances.find(connection, _UID)
    studies.look_for_none(connection, _UID, _NUMBER)
    study_findings.of_shared_uids(connection, 0)
    deleted_studies.get(connection, _UID)
