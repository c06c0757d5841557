"""A made-up data set that has every attribute of which `docs/fhir-coverage.md` tells."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset


def code(value: str, scheme: str, meaning: str, **more: Any) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning, **more)


def item(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def person(number: str) -> Dataset:
    return item(PersonIdentificationCodeSequence=[code(number, "99STAFF", "staff", CodingSchemeUID="2.25.9")])


def issuer(name: str, oid: str) -> Dataset:
    return item(LocalNamespaceEntityID=name, UniversalEntityID=oid, UniversalEntityIDType="ISO")


MAXIMAL: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "StudyInstanceUID": "1.2.3",
    "SeriesInstanceUID": "1.2.3.1",
    "SOPInstanceUID": "1.2.3.1.1",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "AccessionNumber": "ACC1",
    "IssuerOfAccessionNumberSequence": [issuer("RIS", "2.25.10")],
    "StudyID": "ST7",
    "Modality": "CT",
    "PatientID": "P1",
    "IssuerOfPatientID": "HOSPITAL",
    "IssuerOfPatientIDQualifiersSequence": [
        item(UniversalEntityID="2.25.11", UniversalEntityIDType="ISO"),
    ],
    "PatientName": "Doe^Jane^Q^Dr^Jr",
    "AdmissionID": "V9",
    "IssuerOfAdmissionIDSequence": [issuer("ADT", "2.25.12")],
    "StudyDate": "20260116",
    "StudyTime": "090507",
    "TimezoneOffsetFromUTC": "+0200",
    "ReferencedRequestSequence": [item(AccessionNumber="ACC3")],
    "RequestAttributesSequence": [
        item(AccessionNumber="ACC2", IssuerOfAccessionNumberSequence=[issuer("R", "2.25.13")])
    ],
    "ReferringPhysicianName": "Roe^Ann",
    "ReferringPhysicianIdentificationSequence": [person("R1")],
    "NameOfPhysiciansReadingStudy": ["Reader^Rita"],
    "PhysiciansReadingStudyIdentificationSequence": [person("R2")],
    "ProcedureCodeSequence": [code("RPID16", "RADLEX", "CT chest")],
    "InstitutionalDepartmentName": "Radiology",
    "PerformedLocation": "Room 4",
    "ReasonForRequestedProcedureCodeSequence": [code("R05", "I10", "Cough")],
    "ReasonForPerformedProcedureCodeSequence": [code("R07", "I10", "Pain")],
    "ReasonForTheRequestedProcedure": "Cough for weeks",
    "StudyDescription": "CT chest",
    "RequestedProcedureDescription": "Chest, ordered",
    "SeriesNumber": "3",
    "SeriesDescription": "Axial",
    "SeriesDescriptionCodeSequence": [code("X", "99LOCAL", "Axial, coded")],
    "AnatomicRegionSequence": [
        code("T-D3000", "SRT", "Chest", AnatomicRegionModifierSequence=[code("51440002", "SCT", "Right and left")]),
    ],
    "SharedFunctionalGroupsSequence": [
        item(FrameAnatomySequence=[item(FrameLaterality="L", AnatomicRegionSequence=[code("69536005", "SCT", "Head")])])
    ],
    "PrimaryAnatomicStructureSequence": [code("76752008", "SCT", "Breast")],
    "BodyPartExamined": "ABDOMEN",
    "Laterality": "L",
    "ImageLaterality": "R",
    "MeasurementLaterality": "R",
    "ContainerIdentifier": "BOX1",
    "SpecimenDescriptionSequence": [item(SpecimenIdentifier="SP1", SpecimenUID="2.25.14")],
    "SeriesDate": "20260117",
    "SeriesTime": "101112",
    "AcquisitionDateTime": "20260118091011+0100",
    "PerformingPhysicianName": "Quill^Nora",
    "PerformingPhysicianIdentificationSequence": [person("R3")],
    "OperatorsName": "Tech^Tom",
    "OperatorIdentificationSequence": [person("R4")],
    "Manufacturer": "ACME",
    "ManufacturerModelName": "Scan 9",
    "StationName": "CT-1",
    "DeviceSerialNumber": "SN5",
    "DeviceUID": "2.25.15",
    "InstitutionName": "General",
    "InstitutionCodeSequence": [code("H1", "99SITES", "General", CodingSchemeUID="2.25.16")],
    "InstanceNumber": "12",
    "ContentLabel": "LABEL",
    "ConceptNameCodeSequence": [code("18748-4", "LN", "Report")],
    "DocumentTitle": "Title",
}
"""Keyword -> value."""


def dataset(*without: str, **changed: Any) -> Dataset:
    """The data set, but for some attributes."""
    return item(**{key: value for key, value in (MAXIMAL | changed).items() if key not in without})
