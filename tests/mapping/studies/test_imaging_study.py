"""Studies become ImagingStudy resources; the validator finds what fhir.resources lets pass."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

from gateway import mapping
from gateway.errors import RequiredMissing
from gateway.mapping.attributes import from_dataset
from gateway.mapping.language.trace import Trace
from gateway.mapping.studies.imaging_study import StudyMapping
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.study import Instance, LinkedOrder, Release, Series, Shape, Study
from gateway.wire.fhir.validation import faults_of_imaging_study
from tests.mapping.samples import FHIR, SHIPPED, SITE, site

ALWAYS = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "PatientID"}


def bundled() -> list[pydicom.Dataset]:
    """The files of patient 98892003 that come with pydicom."""
    index = get_testdata_file("DICOMDIR")
    assert isinstance(index, str)
    files = sorted(path for path in (Path(index).parent / "98892003").rglob("*") if path.is_file())
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in files]


def study_of(datasets: list[pydicom.Dataset], mapping_: StudyMapping = SHIPPED.studies) -> Study:
    """The tree of one study, with what the mapping reads."""

    def kept(dataset: pydicom.Dataset, level: str) -> dict[str, Any]:
        return from_dataset(dataset, mapping_.keywords[level] | ALWAYS)

    series: dict[str, list[pydicom.Dataset]] = {}
    for dataset in datasets:
        series.setdefault(dataset.SeriesInstanceUID, []).append(dataset)
    tree = tuple(
        Series(uid, kept(members[0], "series"),
               tuple(Instance(one.SOPInstanceUID, one.SOPClassUID, kept(one, "instance")) for one in members))
        for uid, members in series.items()
    )  # fmt: skip
    return Study(datasets[0].StudyInstanceUID, kept(datasets[0], "study"), tree)


FILES = bundled()
STUDIES = sorted({dataset.StudyInstanceUID for dataset in FILES})


@pytest.mark.parametrize("uid", STUDIES)
def test_a_real_study_becomes_a_valid_resource(uid: str) -> None:
    datasets = [dataset for dataset in FILES if uid == dataset.StudyInstanceUID]
    resource = SHIPPED.studies.build(study_of(datasets))
    assert faults_of_imaging_study(resource) == []
    assert resource["identifier"][0] == {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}
    assert resource["subject"]["identifier"]["value"] == datasets[0].PatientID
    counts = Counter(dataset.SeriesInstanceUID for dataset in datasets)
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (len(counts), len(datasets))
    assert {one["uid"]: len(one["instance"]) for one in resource["series"]} == counts
    assert {one["uid"]: one["numberOfInstances"] for one in resource["series"]} == counts
    assert json.loads(json.dumps(resource)) == resource


def test_there_are_three_studies_in_seventeen_files() -> None:
    assert (len(STUDIES), len(FILES)) == (3, 17)


def test_instances_may_be_left_out_while_their_number_stays() -> None:
    datasets = [dataset for dataset in FILES if dataset.StudyInstanceUID == STUDIES[0]]
    resource = SHIPPED.studies.build(study_of(datasets), shape=Shape(instances=0))
    assert faults_of_imaging_study(resource) == []
    assert resource["numberOfInstances"] == len(datasets)
    assert all("instance" not in one for one in resource["series"])


# --- by hand ---

INSTANCE = Instance(
    "1.2.3.1.1",
    "1.2.840.10008.5.1.4.1.1.2",
    {
        "SOPInstanceUID": "1.2.3.1.1",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "InstanceNumber": "1",
        "ConceptNameCodeSequence": [{"CodeMeaning": "Report"}],
    },
)
SERIES = Series(
    "1.2.3.1",
    {
        "SeriesInstanceUID": "1.2.3.1",
        "SeriesNumber": "-1",
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "Laterality": "L",
        "PerformingPhysicianName": "Quill^Nora",
        "OperatorsName": ["Tech^Tom", "Tech^Tim"],
    },
    (INSTANCE,),
)
STUDY = Study(
    StudyInstanceUID("1.2.3"),
    {
        "StudyInstanceUID": "1.2.3",
        "AccessionNumber": "A1",
        "PatientID": "P1",
        "IssuerOfPatientID": "HOSPITAL",
        "StudyDate": "20260116",
        "StudyTime": "0905",
        "StudyDescription": "CT chest",
        "ReferringPhysicianName": "Roe^Ann",
        "NameOfPhysiciansReadingStudy": ["Reader^Rita", "Reader^Rob"],
        "InstitutionalDepartmentName": "Radiology",
        "ProcedureCodeSequence": [{"CodeValue": "X", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "Chest"}],
    },
    (SERIES, Series("1.2.3.2", {"SeriesInstanceUID": "1.2.3.2", "Modality": "SR"}, ())),
    (LinkedOrder(AccessionNumber("A1"), "RIS", "PL1", "EHR", "FI1", "RIS"),),
)


def test_every_level_is_mapped() -> None:
    resource = SHIPPED.studies.build(STUDY)
    assert faults_of_imaging_study(resource) == []
    # Study level: acquisition modalities only (CID 29); series level: whatever it is.
    assert [one["code"] for one in resource["modality"]] == ["CT"]
    assert [one["modality"]["code"] for one in resource["series"]] == ["CT", "SR"]
    assert (resource["started"], resource["description"]) == ("2026-01-16T09:05:00+01:00", "CT chest")
    assert [one["display"] for one in resource["interpreter"]] == ["Rita Reader", "Rob Reader"]
    assert [one["type"]["coding"][0]["code"] for one in resource["identifier"][1:]] == ["ACSN"]
    assert resource["basedOn"][0]["identifier"]["value"] == "A1"
    assert (resource["procedureCode"], resource["location"]) == ([{"text": "Chest"}], {"display": "Radiology"})
    first = resource["series"][0]
    assert "number" not in first
    assert (first["bodySite"]["code"], first["laterality"]["code"]) == ("43799004", "7771000")
    assert [one["actor"]["display"] for one in first["performer"]] == ["Nora Quill", "Tom Tech", "Tim Tech"]
    assert first["instance"][0]["title"] == "Report"


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_an_order_of_another_patient_is_not_what_the_study_is_based_on(release: Release) -> None:
    numbers = [{"AccessionNumber": "A1"}, {"AccessionNumber": "A2"}, {"AccessionNumber": "A3"}]
    series = replace(SERIES, attributes={**SERIES.attributes, "RequestAttributesSequence": numbers})
    mine = replace(STUDY, orders=(), series=(series,))
    for foreign in (frozenset[str](), frozenset({"A1", "A3"}), frozenset({"A1", "A2", "A3"})):
        resource = SHIPPED.studies.build(replace(mine, foreign=foreign), shape=Shape(release))
        based_on = {one["identifier"]["value"] for one in resource.get("basedOn", [])}
        assert based_on == {"A1", "A2", "A3"} - foreign
        assert ("A1" in [one["value"] for one in resource["identifier"]]) == (release == "R4" or "A1" in foreign)
        assert faults_of_imaging_study(resource, release) == []


def test_the_trace_tells_where_each_value_came_from() -> None:
    trace: list[Trace] = []
    SHIPPED.studies.build(STUDY, trace=trace)
    sources = {(one.level, one.target): one.source for one in trace}
    assert sources["study", "status"] == "default"
    assert sources["series", "bodySite"] == "BodyPartExamined"
    assert sources["instance", "title"] == "ConceptNameCodeSequence.CodeMeaning"
    assert all(one.origin.startswith("study_to_imagingstudy.yaml:") for one in trace)


def test_a_study_without_its_patient_is_refused_with_the_place() -> None:
    attributes = {key: value for key, value in STUDY.attributes.items() if key != "PatientID"}
    with pytest.raises(RequiredMissing) as raised:
        SHIPPED.studies.build(Study(StudyInstanceUID("1.2.3"), attributes, ()))
    assert raised.value.place == "PatientID"


def test_a_site_overlays_single_rows(tmp_path: Path) -> None:
    overlay = site(tmp_path, {
        "study_to_imagingstudy.yaml": "study:\n  description: [RequestedProcedureDescription, StudyDescription]\n"
        "  interpreter: off\n  identifier[studyid]: {from: StudyID, as: accession_identifier}\n",
        "tables/acquisition_modality.csv": "SR,Structured Report\n",
        "tables/coding_scheme.csv": "99LOCAL,http://codes.example\n",
    })  # fmt: skip
    studies = mapping.load(SITE, FHIR, overlay).studies
    assert {"RequestedProcedureDescription", "StudyID"} <= studies.keywords["study"]
    extra = {"RequestedProcedureDescription": "Ordered", "StudyID": "S7"}
    resource = studies.build(Study(StudyInstanceUID("1.2.3"), STUDY.attributes | extra, STUDY.series))
    assert faults_of_imaging_study(resource) == []
    assert (resource["description"], "interpreter" in resource) == ("Ordered", False)
    assert [one["value"] for one in resource["identifier"]] == ["urn:oid:1.2.3", "A1", "S7"]
    assert [one["code"] for one in resource["modality"]] == ["CT", "SR"]
    assert resource["procedureCode"][0]["coding"] == [
        {"system": "http://codes.example", "code": "X", "display": "Chest"}
    ]


# --- validation ---

VALID = SHIPPED.studies.build(STUDY)


def broken(**changes: Any) -> list[str]:
    return faults_of_imaging_study(deepcopy(VALID) | changes)


UID = {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"status": "final"}, "ImagingStudy.status: 'final' is not one of available, cancelled, entered-in-error, "),
        ({"status": None}, "ImagingStudy.status: "),
        ({"identifier": []}, "ImagingStudy.identifier: has 0 Study Instance UIDs; exactly one is wanted"),
        ({"identifier": [UID, UID]}, "ImagingStudy.identifier: has 2 Study Instance UIDs"),
        ({"subject": {"reference": "Practitioner/1"}}, "ImagingStudy.subject: may not refer to Practitioner"),
        ({"id": "x" * 65}, "ImagingStudy.id: "),
        ({"basedOn": [{"type": "Encounter", "display": "x"}]}, "ImagingStudy.basedOn: may not refer to Encounter"),
        ({"referrer": {"reference": "Patient/1"}}, "ImagingStudy.referrer: may not refer to Patient"),
        ({"description": ""}, "ImagingStudy.description: is empty"),
        ({"location": {}}, "ImagingStudy.location: is empty"),
        ({"procedureCode": [{"text": "x", "coding": []}]}, "ImagingStudy.procedureCode[0].coding: is empty"),
        ({"series": [{"uid": "1" * 65, "modality": {"code": "CT"}}]}, "ImagingStudy.series[0]: the uid 1111"),
        ({"series": [{"modality": {"code": "CT"}}]}, "ImagingStudy.series.0.uid: "),
        ({"numberOfSeries": -1}, "ImagingStudy.numberOfSeries: "),
        ({"started": "2026-01-16T09:05:00"}, "ImagingStudy.started: "),
        ({"unheard": 1}, "ImagingStudy.unheard: "),
    ],
)
def test_the_validator_names_what_is_wrong(changes: dict[str, Any], fault: str) -> None:
    found = broken(**changes)
    assert any(one.startswith(fault) for one in found), found


@pytest.mark.parametrize("element", ["subject", "status", "identifier"])
def test_the_validator_names_what_is_missing(element: str) -> None:
    (fault, *_) = faults_of_imaging_study({key: value for key, value in VALID.items() if key != element})
    assert fault.startswith(f"ImagingStudy.{element}: ")


def test_references_of_every_allowed_form_pass() -> None:
    for subject in ({"reference": "Patient/1"}, {"reference": "Patient?identifier=a|b"}, {"reference": "urn:uuid:1"}):
        assert broken(subject=subject) == []


def test_instances_that_state_different_attributes_are_mapped_each_by_its_own() -> None:
    stated = [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "InstanceNumber": "1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "DocumentTitle": "Protocol"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "InstanceNumber": "3", "ContentLabel": "ORGANS"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "InstanceNumber": "4"},
    ]
    instances = tuple(
        Instance(f"1.2.{number}", one["SOPClassUID"], {"SOPInstanceUID": f"1.2.{number}", **one})
        for number, one in enumerate(stated)
    )
    study = Study(StudyInstanceUID("1.2"), {"StudyInstanceUID": "1.2", "PatientID": "P1"},
                  (Series("1.3", {"SeriesInstanceUID": "1.3", "Modality": "CT"}, instances),))  # fmt: skip
    listed = SHIPPED.studies.build(study)["series"][0]["instance"]
    assert [(one.get("number"), one.get("title")) for one in listed] == [
        (1, None), (None, "Protocol"), (3, "ORGANS"), (4, None),
    ]  # fmt: skip
