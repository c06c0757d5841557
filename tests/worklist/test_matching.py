"""The matching rules of PS3.4 C.2.2.2 and K.2.2, row by row."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from gateway.worklist import matching
from gateway.worklist.answering import NEVER_KEYS
from gateway.worklist.matching import SUPPORTED_KEYS
from gateway.worklist.prefilter import Prefilter, prefilter_of
from tests.worklist.worklist_items import STEP, answer, dataset, item, matches, of_dataset, worklist

pytestmark = pytest.mark.filterwarnings("ignore:.*nvalid value for VR", "ignore:A value of type")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # universal
        ({"PatientID": ""}, True),
        ({"AdmissionID": ""}, True),
        ({"StudyInstanceUID": ""}, True),
        ({"PatientID": "*"}, True),
        ({"AdmissionID": "*"}, True),
        ({"Modality": "*", "ScheduledStationAETitle": "*"}, True),
        # single value: exact, case-sensitive
        ({"PatientID": "PID-7"}, True),
        ({"PatientID": "pid-7"}, False),
        ({"PatientID": "PID-77"}, False),
        ({"AccessionNumber": "A100"}, True),
        ({"AccessionNumber": "A10"}, False),
        ({"IssuerOfPatientID": "hosp"}, False),
        ({"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "S1"}, True),
        ({"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "S2"}, False),
        # other VRs
        ({"PregnancyStatus": 4}, True),
        ({"PregnancyStatus": 1}, False),
        ({"PatientWeight": "70"}, True),
        ({"PatientWeight": "71"}, False),
        # list of UID
        ({"StudyInstanceUID": "1.2.3"}, True),
        ({"StudyInstanceUID": ["1.2.9", "1.2.3"]}, True),
        ({"StudyInstanceUID": ["1.2.9", "1.2.30"]}, False),
        # wildcard
        ({"PatientID": "PID*"}, True),
        ({"PatientID": "*7"}, True),
        ({"PatientID": "PID-7*"}, True),
        ({"PatientID": "?ID-?"}, True),
        ({"PatientID": "PID-7?"}, False),
        ({"PatientID": "pid*"}, False),
        ({"PatientID": "P*-*7"}, True),
        ({"PatientID": "P*8*7"}, False),
        ({"ScheduledStationAETitle": "CT?"}, True),
        # T7: no fnmatch, no LIKE
        ({"ScheduledProcedureStepDescription": "*[native]"}, True),
        ({"ScheduledProcedureStepDescription": "Head 100[%] *"}, False),
        ({"ScheduledProcedureStepDescription": "Head 100% ?native?"}, True),
        ({"ScheduledProcedureStepDescription": "Head%"}, False),
        ({"PatientID": "PID_7"}, False),
        ({"PatientID": "[P]ID-7"}, False),
        # multi-valued attribute: any value
        ({"MedicalAlerts": "Latex"}, True),
        ({"MedicalAlerts": "Nuts"}, False),
        ({"ScheduledStationAETitle": "CT2"}, True),
        ({"ScheduledStationAETitle": "CT3"}, False),
        ({"Modality": ["MR", "CT"]}, True),
        # sequence matching
        ({"RequestedProcedureCodeSequence": [{"CodeValue": "CTHEAD", "CodingSchemeDesignator": "L"}]}, True),
        ({"RequestedProcedureCodeSequence": [{"CodeValue": "CTHEAD", "CodingSchemeDesignator": "M"}]}, False),
        ({"RequestedProcedureCodeSequence": [{"CodeValue": "CT*", "CodingSchemeDesignator": ""}]}, True),
        ({"RequestedProcedureCodeSequence": []}, True),
        ({"RequestedProcedureCodeSequence": [{}]}, True),
        # T1: a stored empty value fails
        ({"AdmissionID": "V1"}, False),
        # T4: optional keys the item lacks are ignored, supported ones are not
        ({"EthnicGroup": "X"}, True),
        ({"ScheduledProcedureStepLocation": "Room 1"}, True),
        ({"RequestedProcedureCodeSequence": [{"CodeMeaning": "Head"}]}, True),
        ({"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2"}]}, True),
        ({"InstitutionName": "Elsewhere"}, False),
        # T8: padding
        ({"PatientID": " PID-7 "}, True),
        ({"Modality": "CT  "}, True),
        ({"StudyInstanceUID": "1.2.3\0"}, True),
        # T13: Modality and status in any case
        ({"Modality": "ct"}, True),
        ({"ScheduledProcedureStepStatus": "scheduled"}, True),
        ({"Modality": "mr"}, False),
    ],
    ids=str,
)
def test_keys(key: dict[str, Any], expected: bool) -> None:
    assert matches(worklist(**key), item()) is expected


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "X"),
        ("PatientID", "X"),
        ("AccessionNumber", "X"),
        ("StudyInstanceUID", "1.9"),
        ("ScheduledStationAETitle", "X"),
        ("ScheduledProcedureStepStartDate", "20240706"),
        ("ScheduledProcedureStepStartTime", "0000-2359"),
        ("Modality", "CT"),
        ("ScheduledPerformingPhysicianName", "X*"),
    ],
)
@pytest.mark.parametrize("absent", [True, False])
def test_nothing_stored_fails_a_supported_key(keyword: str, value: str, absent: bool) -> None:
    stored = item(**{keyword: ""})
    if absent:
        del (stored.ScheduledProcedureStepSequence[0] if keyword in STEP else stored)[keyword]
    assert keyword in SUPPORTED_KEYS
    assert not matches(worklist(**{keyword: value}), stored)
    assert matches(worklist(**{keyword: ""}), stored)


def test_keys_that_are_none() -> None:
    """The character set, the time zone, (0040,A390), group lengths (T11) and private elements are not
    compared."""
    identifier = worklist(PatientID="PID-7", Modality="CT")
    step = identifier.ScheduledProcedureStepSequence[0]
    for level in (identifier, step):
        level.SpecificCharacterSet = "ISO_IR 192"
        level.TimezoneOffsetFromUTC = "+0100"
        level.HL7InstanceIdentifier = "1.2^3"
        level.add_new(0x00080000, "UL", 40)
        level.add_new(0x00400000, "UL", 40)
        level.add_new(0x00090010, "LO", "VENDOR")
        level.add_new(0x00091001, "LO", "X")
    assert len(NEVER_KEYS) == 3
    assert matches(identifier, item())
    response = answer(identifier, item())
    assert 0x00080000 not in response
    assert 0x00400000 not in response.ScheduledProcedureStepSequence[0]


def test_without_a_step_sequence_the_root_decides() -> None:  # T9
    assert matches(dataset(PatientID="PID-7"), item())
    assert not matches(dataset(PatientID="PID-8"), item())
    assert matches(dataset(PatientID="PID-7", Modality="MR"), item())  # no attribute of that level


def test_the_first_of_several_items_counts() -> None:  # T10
    identifier = dataset(ScheduledProcedureStepSequence=[{"Modality": "CT"}, {"Modality": "MR"}])
    assert matches(identifier, item())
    assert not matches(identifier, item(Modality="MR"))
    assert len(answer(identifier, item()).ScheduledProcedureStepSequence) == 1


def test_all_keys_must_match_in_the_same_stored_item() -> None:
    codes = [
        {"CodeValue": "A", "CodingSchemeDesignator": "L"},
        {"CodeValue": "B", "CodingSchemeDesignator": "M"},
    ]
    stored = item(ScheduledProtocolCodeSequence=codes)
    for code, scheme, expected in (("A", "L", True), ("B", "M", True), ("A", "M", False)):
        key = [{"CodeValue": code, "CodingSchemeDesignator": scheme}]
        assert matches(worklist(ScheduledProtocolCodeSequence=key), stored) is expected


def test_a_sequence_key_fails_on_an_empty_stored_sequence() -> None:
    stored = item(ScheduledProtocolCodeSequence=[])
    assert not matches(worklist(ScheduledProtocolCodeSequence=[{"CodeValue": "A"}]), stored)
    assert matches(worklist(ScheduledProtocolCodeSequence=[{"CodeValue": ""}]), stored)


def test_contradicting_representations_do_not_harm() -> None:
    """A peer may call a sequence a text, and the other way round."""
    identifier = Dataset()
    identifier.add_new("ScheduledProcedureStepSequence", "LO", "X")
    identifier.add_new("PatientID", "SQ", [dataset(CodeValue="A")])
    assert not matches(identifier, item())
    assert bounds(dataset()) == Prefilter()
    assert answer(identifier, item()).PatientID == []


@pytest.mark.parametrize(
    ("stored", "key", "expected"),
    [
        # case and accents
        ("Müller^Jürgen", "MULLER^JURGEN", True),
        ("MULLER^JURGEN", "müller^jürgen", True),
        ("Straße^A", "STRASSE^A", True),
        ("Ångström^A", "angstrom^a", True),
        ("Иванов^Пётр", "ИВАНОВ^петр", True),
        ("Smith^John", "SMITH^JOAN", False),
        # components
        ("SMITH^JOHN", "SMITH*", True),
        ("SMITH^JOHN", "SMITH^J*", True),
        ("SMITH^JOHN", "SMITH", False),
        ("SMITH^JOHN", "SM?TH^*", True),
        ("SMITH", "SMITH^*", True),
        ("SMITH", "SMITH^J*", False),
        ("SMITH^JOHN", "*^JOHN", True),
        ("SMITH^JOHN^PAUL", "*^JOHN", False),
        # trailing delimiters and padding
        ("SMITH^JOHN^^^", "SMITH^JOHN", True),
        ("SMITH^JOHN", "SMITH^JOHN^^^", True),
        ("SMITH^JOHN==", "SMITH^JOHN", True),
        ("SMITH^JOHN", "SMITH^JOHN==", True),
        ("SMITH ^JOHN ", "SMITH^JOHN", True),
        ("SMITH^^PAUL", "SMITH^PAUL", False),
        # component groups
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada^tarou", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田^太郎", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=yamada*", False),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "YAMADA*==やまだ*", True),
        ("Yamada^Tarou=山田^太郎", "==やまだ*", False),
        ("Yamada^Tarou", "=山田*", False),
        # kana voicing is not an accent, a Hangul syllable is one character
        ("ガ^A", "カ^A", False),
        ("김^희중", "?^희중", True),
        # nothing stored
        ("", "SMITH", False),
        ("", "^^", True),
        ("", "*", True),
    ],
)
def test_person_names(stored: str, key: str, expected: bool) -> None:
    assert matches(worklist(PatientName=key), item(PatientName=stored)) is expected
    physician = worklist(ScheduledPerformingPhysicianName=key)
    assert matches(physician, item(ScheduledPerformingPhysicianName=stored)) is expected


@pytest.mark.parametrize(
    ("stored", "key", "expected"),
    [
        ("SMITH^JOHN", "SMITH", True),
        ("SMITHSON^JOHN", "smith", True),
        ("SMITH^JOHN", "SMITH^J", True),
        ("SMITH^JOHN", "SM*N", True),
        ("SMITH^JOHN", "SM*X", False),
        ("SMITH^JOHN", "S?ITH", False),
        ("SMITH^JOHN", "JOHN", False),
        ("Yamada=山田^太郎", "=山田", True),
        ("Yamada=山田^太郎", "山田", True),
    ],
)
def test_implicit_wildcard(stored: str, key: str, expected: bool) -> None:
    identifier = worklist(PatientName=key)
    assert matches(identifier, item(PatientName=stored), pn_implicit_wildcard=True) is expected


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_equal_their_definition(key: str, stored: str) -> None:
    def like(key: str, text: str) -> bool:
        if not key:
            return not text
        if key[0] == "*":
            return like(key[1:], text) or (bool(text) and like(key, text[1:]))
        return bool(text) and key[0] in ("?", text[0]) and like(key[1:], text[1:])

    universal = key in ("", "*")
    assert matches(dataset(PatientID=key), dataset(PatientID=stored)) is (
        universal or (bool(stored) and like(key, stored))
    )


def test_many_asterisks_cost_nothing() -> None:
    began = time.process_time()
    assert not matches(dataset(PatientID="*a" * 30 + "b"), dataset(PatientID="a" * 64))
    assert time.process_time() - began < 1


def test_a_matcher_serves_many_items() -> None:
    test = matching.matcher(of_dataset(worklist(Modality="CT", PatientName="M*")))
    items = (item(), item(Modality="MR"), item(PatientName="X"))
    assert [test(of_dataset(one)) for one in items] == [True, False, False]


def bounds(identifier: Dataset) -> Prefilter:
    return prefilter_of(of_dataset(identifier))


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ({}, Prefilter()),
        ({"PatientID": "P1 ", "AccessionNumber": "A"}, Prefilter(patient_id="P1", accession_number="A")),
        ({"PatientID": "P*", "AccessionNumber": "A?"}, Prefilter()),
        ({"PatientID": "*", "Modality": "*"}, Prefilter()),
        ({"Modality": "ct"}, Prefilter(modality="CT")),
        ({"Modality": ["CT", "MR"]}, Prefilter()),
        ({"ScheduledStationAETitle": "CT1"}, Prefilter(station_ae="CT1")),
        ({"StudyInstanceUID": ["1.2", "1.3"]}, Prefilter(study_uids=("1.2", "1.3"))),
        (
            {"ScheduledProcedureStepStartDate": "20240706"},
            Prefilter(date_from="20240706", date_to="20240706"),
        ),
        ({"ScheduledProcedureStepStartDate": "2024.07.06-"}, Prefilter(date_from="20240706")),
        ({"ScheduledProcedureStepStartDate": "- 20240706"}, Prefilter(date_to="20240706")),
        ({"ScheduledProcedureStepStartDate": "*"}, Prefilter()),
    ],
    ids=str,
)
def test_bounds(key: dict[str, Any], expected: Prefilter) -> None:
    assert bounds(worklist(**key)) == expected


def test_bounds_without_a_step() -> None:
    assert bounds(dataset(PatientID="P")) == Prefilter(patient_id="P")
    assert bounds(dataset(ScheduledProcedureStepSequence=[])) == Prefilter()
