"""Which attributes get another value on the way to an archive, and what a mapping file of corrections may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import mapping
from gateway.errors import ConfigError
from gateway.mapping.corrections.correcting import CorrectionMapping
from gateway.mapping.corrections.scope import CorrectionScope
from gateway.records.correction import CorrectionSet
from tests.mapping.samples import FHIR, SITE, site

OWN = {"PatientID": "OLD", "PatientName": "Maier^E", "AccessionNumber": "A1", "InstitutionName": "North Hosp."}
PATIENT = {"PatientID": "NEW", "IssuerOfPatientID": "HOSP", "PatientName": "Meier^Erika", "PatientSex": "F"}
ALL: tuple[CorrectionSet, ...] = ("patient", "order", "site")


def corrections(tmp_path: Path, **files: str) -> CorrectionMapping:
    overlay = {name.replace("__", "/").replace("_csv", ".csv").replace("_yaml", ".yaml"): files[name] for name in files}
    return mapping.load(SITE, FHIR, site(tmp_path, overlay)).corrections


def made(
    rows: CorrectionMapping,
    own: dict[str, Any] = OWN,
    patient: dict[str, Any] | None = None,
    order: dict[str, Any] | None = None,
    sets: tuple[CorrectionSet, ...] = ALL,
) -> dict[str, Any]:
    return {one.keyword: one.value for one in rows.corrections(CorrectionScope(own, patient or {}, order or {}), sets)}


def test_the_shipped_rows_correct_what_a_merge_and_the_order_say(tmp_path: Path) -> None:
    rows = corrections(tmp_path)
    assert made(rows) == {}
    assert made(rows, patient=PATIENT) == PATIENT
    assert made(rows, patient=PATIENT, sets=("order",)) == {}
    assert made(rows, order={"AccessionNumber": "A2"}) == {"AccessionNumber": "A2"}
    assert made(rows, order={"AccessionNumber": "A1"}) == {}


def test_who_goes_by_the_same_patient_id_is_no_survivor(tmp_path: Path) -> None:
    """A name that was corrected by an A08 is a matter of the archive, unless a site has a row for it."""
    assert made(corrections(tmp_path), {**OWN, "PatientID": "NEW"}, PATIENT) == {}
    rows = corrections(tmp_path, corrections_yaml="patient:\n  PatientName: patient.PatientName\n")
    assert made(rows, {**OWN, "PatientID": "NEW"}, PATIENT) == {"PatientName": "Meier^Erika"}


def test_delimiters_that_nothing_follows_make_no_other_name(tmp_path: Path) -> None:
    rows = corrections(tmp_path, corrections_yaml="patient:\n  PatientName: patient.PatientName\n")
    own = {"PatientID": "NEW", "PatientName": "Meier^Erika^^^=="}
    assert made(rows, own, PATIENT) == {}


def test_a_table_of_the_site_names_its_institutions(tmp_path: Path) -> None:
    rows = corrections(tmp_path, tables__institution_csv="code,value\nNORTH HOSP.,Hospital North\n")
    assert made(rows) == {"InstitutionName": "Hospital North"}
    assert made(rows, {**OWN, "InstitutionName": "South"}) == {}
    assert made(rows, {}) == {}


def test_what_does_not_fit_is_no_correction_and_the_next_path_is_asked(tmp_path: Path) -> None:
    text = "site:\n  StationName: [InstitutionName, Modality]\n  StudyDate: {from: StudyTime, default: '20260102'}\n"
    rows = corrections(tmp_path, corrections_yaml=text)
    own = {"InstitutionName": "of more than sixteen characters", "Modality": "CT", "StudyTime": "12"}
    assert made(rows, own) == {"StationName": "CT", "StudyDate": "20260102"}


def test_a_sequence_and_an_attribute_within_one(tmp_path: Path) -> None:
    text = (
        "order:\n  IssuerOfAccessionNumberSequence: order.IssuerOfAccessionNumberSequence\n"
        "  StudyDescription: order.RequestedProcedureCodeSequence.CodeMeaning\n"
    )
    rows = corrections(tmp_path, corrections_yaml=text)
    issuer = [{"LocalNamespaceEntityID": "RIS"}]
    order = {
        "IssuerOfAccessionNumberSequence": issuer, "RequestedProcedureCodeSequence": [{"CodeMeaning": "CT head"}],
    }  # fmt: skip
    assert made(rows, order=order) == {"IssuerOfAccessionNumberSequence": issuer, "StudyDescription": "CT head"}
    own = {**OWN, "IssuerOfAccessionNumberSequence": issuer, "StudyDescription": "CT head"}
    assert made(rows, own, order=order) == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("patient:\n  StudyInstanceUID: order.StudyInstanceUID\n", "cannot be corrected"),
        ("site:\n  SpecificCharacterSet: {default: ISO_IR 192}\n", "cannot be corrected"),
        ("site:\n  PhotometricInterpretation: {default: RGB}\n", "cannot be corrected"),
        ("site:\n  OriginalAttributesSequence: order.IssuerOfAccessionNumberSequence\n", "cannot be corrected"),
        ("site:\n  PatientAge: AgeOfPatient\n", "'AgeOfPatient' is no DICOM attribute"),
        ("site:\n  NameOfStation: StationName\n", "is not a DICOM attribute"),
        ("site:\n  StationName: StationName.CodeValue\n", "is no sequence"),
        ("site:\n  StationName: ProcedureCodeSequence\n", "is a sequence, and StationName is none"),
        ("site:\n  ProcedureCodeSequence: StationName\n", "is no sequence, and ProcedureCodeSequence is one"),
        ("site:\n  ProcedureCodeSequence: {from: order.ProcedureCodeSequence, default: X}\n", "are for texts"),
        ("site:\n  StationName: {default: longer than sixteen characters}\n", "does not fit"),
        ("site:\n  StationName: {from: StationName, as: text}\n", "there is no key 'as'"),
        ("site:\n  PatientID: patient.PatientID\n", "is a row of the level patient"),
        ("archive:\n  PatientID: patient.PatientID\n", "there is no level 'archive'"),
    ],
)
def test_faults_of_a_mapping_file_are_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        corrections(tmp_path, corrections_yaml=text)
    assert any(fault in one for one in raised.value.faults), raised.value.faults
