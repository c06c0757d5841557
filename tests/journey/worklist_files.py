"""Worklist items of made-up people, as files and as data sets."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined,unused-ignore]

OF_STEP = {
    "Modality", "ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName", "ScheduledProcedureStepDescription", "ScheduledProcedureStepID",
    "ScheduledStationName", "ScheduledProcedureStepLocation", "CommentsOnTheScheduledProcedureStep",
    "ScheduledProcedureStepStatus", "ScheduledProtocolCodeSequence", "ScheduledProcedureStepEndDate", "PreMedication",
    "RequestedContrastAgent",
}  # fmt: skip


def item(number: int, **changes: Any) -> Dataset:
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "AccessionNumber": f"W{number}",
        "PatientName": "Muster^Max",
        "PatientID": f"P{number}",
        "PatientBirthDate": "19700101",
        "PatientSex": "M",
        "StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}",
        "RequestingPhysician": "Smith^Ann",
        "ReferringPhysicianName": "Jones^Bob",
        "RequestedProcedureDescription": f"Procedure {number}",
        "RequestedProcedureID": f"RP{number}",
        "RequestedProcedurePriority": "LOW",
        "AdmissionID": "",
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20301124",
        "ScheduledProcedureStepStartTime": "093000",
        "ScheduledPerformingPhysicianName": "Doe^Jane",
        "ScheduledProcedureStepDescription": f"Step {number}",
        "ScheduledProcedureStepID": f"S{number}",
        "ScheduledStationName": "ROOM1",
        "ScheduledProcedureStepLocation": "B1",
        "CommentsOnTheScheduledProcedureStep": "",
    } | changes
    made, step = Dataset(), Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(step if keyword in OF_STEP else made, keyword, value)
    made.ScheduledProcedureStepSequence = [step]
    return made


def write(folder: Path, *items: Dataset) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lockfile").touch()
    for number, one in enumerate(items):
        file = copy.deepcopy(one)
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.file_meta.MediaStorageSOPClassUID = ModalityWorklistInformationFind
        file.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number}")
        file.save_as(folder / f"item{number}.wl", enforce_file_format=True)
