"""Between data sets and attributes."""

from __future__ import annotations

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pynetdicom.dsutils import encode

from gateway.mapping.attributes import from_dataset, look, to_dataset
from gateway.records.order import Attributes

ATTRIBUTES: Attributes = {
    "PatientID": "P1",
    "PatientName": "Doe^Jane=山田^太郎",
    "PregnancyStatus": "3",
    "Allergies": ["one", "two"],
    "PatientWeight": "70.5",
    "RequestedProcedureCodeSequence": [{"CodeValue": "C", "CodeMeaning": "Meaning"}],
    "ScheduledProcedureStepStartDate": "20260116",
}


def test_there_and_back() -> None:
    dataset = to_dataset(ATTRIBUTES)
    assert dataset.PregnancyStatus == 3
    assert from_dataset(dataset) == ATTRIBUTES


def test_only_what_is_asked_for() -> None:
    asked = ["PatientID", "StudyDate", "NoSuchKeyword"]
    assert from_dataset(to_dataset(ATTRIBUTES), asked) == {"PatientID": "P1"}


def test_an_unknown_keyword_is_left_out() -> None:
    assert len(to_dataset({"NoSuchKeyword": "x"})) == 0


def test_a_value_under_another_vr_costs_only_itself() -> None:
    """A sender may state any VR in explicit VR, and what it sent is kept."""
    odd: Attributes = {
        "ProcedureCodeSequence": "text", "StudyID": [{"CodeValue": "C"}], "PregnancyStatus": "x", "PatientWeight": "CT",
        "Rows": "1.5e-24", "PixelData": "text",
        "ScheduledStepAttributesSequence": [{"AccessionNumber": "A", "ReferencedStudySequence": "text"}],
    }  # fmt: skip
    dataset = to_dataset({"PatientID": "P1", **odd})
    scheduled = {"AccessionNumber": "A", "ReferencedStudySequence": []}
    assert from_dataset(dataset, with_empty=True) == {
        "PatientID": "P1", "ProcedureCodeSequence": [], "StudyID": "", "PregnancyStatus": "", "PatientWeight": "",
        "Rows": "", "ScheduledStepAttributesSequence": [scheduled],
    }  # fmt: skip
    assert encode(dataset, True, True) is not None


def test_binary_private_unknown_and_empty_elements_are_left_out() -> None:
    dataset = Dataset()
    dataset.PixelData = b"\0\0"
    dataset.PatientID = ""
    dataset.ProcedureCodeSequence = Sequence()
    dataset.add_new(0x00080000, "UL", 12)
    dataset.add_new(0x00080007, "LO", "of no dictionary")
    dataset.private_block(0x0009, "MAKER", create=True).add_new(1, "LO", "secret")
    assert from_dataset(dataset) == {}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(("tag", "vr", "value"), [(0x00280010, "US", b"\1"), (0x00200013, "XX", b"1 ")])
def test_a_value_that_cannot_be_read_costs_only_itself(tag: int, vr: str, value: bytes) -> None:
    dataset = Dataset()
    dataset.PatientID = "P1"
    dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    assert from_dataset(dataset) == {"PatientID": "P1"}
    assert from_dataset(dataset, ["PatientID", pydicom.datadict.keyword_for_tag(tag)]) == {"PatientID": "P1"}


def test_look() -> None:
    assert look(ATTRIBUTES, "RequestedProcedureCodeSequence.CodeValue") == "C"
    assert look(ATTRIBUTES, "PatientID") == "P1"
    assert look(ATTRIBUTES, "PatientID.CodeValue") is None
    assert look(ATTRIBUTES, "ProcedureCodeSequence.CodeValue") is None
    assert look({"ProcedureCodeSequence": []}, "ProcedureCodeSequence.CodeValue") is None
