"""Every complete study among pydicom's files, in R4 and R5, before the validators of others."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest

from bench.made_studies import study_of
from gateway import mapping
from gateway.mapping.studies.base import FhirSettings
from gateway.records.study import Release, Shape
from gateway.wire.fhir.validation import faults_of_imaging_study
from tests.mapping.samples import FHIR, SITE
from tests.peers.fhir_validators import Validators

SETTINGS = FhirSettings(
    FHIR.zone, "HOSPITAL", FHIR.identifier_systems, study_id_system="urn:oid:1.2.4", wado_rs_url="https://pacs.test/rs"
)
MAPPINGS = mapping.load(SITE, SETTINGS)
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def complete_studies() -> dict[str, list[pydicom.Dataset]]:
    """Study UID -> data sets of pydicom's own test files, of studies that have their UIDs and a Patient ID."""
    found: dict[str, list[pydicom.Dataset]] = {}
    for file in sorted(one for one in (Path(pydicom.data.__file__).parent / "test_files").rglob("*") if one.is_file()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                dataset = pydicom.dcmread(file, stop_before_pixels=True)
            except Exception:
                continue
            found.setdefault(str(dataset.get("StudyInstanceUID", "")), []).append(dataset)
    return {uid: files for uid, files in found.items() if all(_is_complete(one) for one in files)}


def _is_complete(dataset: pydicom.Dataset) -> bool:
    return all(dataset.get(keyword) for keyword in (*UIDS, "PatientID"))


RELEASES: tuple[Release, ...] = ("R4", "R5")
STUDIES = complete_studies()


@pytest.fixture(scope="module")
def resources() -> dict[tuple[str, Release], dict[str, Any]]:
    return {
        (uid, release): MAPPINGS.studies.build(study_of(MAPPINGS, uid, files), shape=Shape(release))
        for uid, files in STUDIES.items()
        for release in RELEASES
    }


def test_there_are_more_than_twenty() -> None:
    assert len(STUDIES) >= 20


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("uid", STUDIES)
def test_no_validator_finds_anything(
    resources: dict[tuple[str, Release], dict[str, Any]], fhir_validators: Validators, uid: str, release: Release
) -> None:
    resource = resources[uid, release]
    findings = {**fhir_validators.findings(release, resource), "ours": faults_of_imaging_study(resource, release)}
    assert {name: found for name, found in findings.items() if found} == {}
    assert len(findings) == (5 if release == "R4" else 3)


@pytest.mark.parametrize("release", RELEASES)
def test_the_validators_find_what_is_wrong(fhir_validators: Validators, release: Release) -> None:
    wrong: dict[str, Any] = {"resourceType": "ImagingStudy", "status": "available", "started": "noon", "x": 1}
    findings = {**fhir_validators.findings(release, wrong), "ours": faults_of_imaging_study(wrong, release)}
    assert all(findings.values()), findings
