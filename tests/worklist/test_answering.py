"""What a worklist query is answered: PS3.4 K.4.1.1.3.2, and the choice of the character set."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.worklist.worklist_items import answer, dataset, item, worklist


def test_only_requested_attributes_are_answered() -> None:  # T5, T6
    identifier = worklist(
        PatientName="*",
        PatientID="",
        EthnicGroup="",
        ReferencedStudySequence=[],
        RequestedProcedureCodeSequence=[{"CodeValue": "", "CodeMeaning": ""}],
        Modality="",
        ScheduledProcedureStepLocation="",
        ScheduledProtocolCodeSequence=[{"CodeValue": ""}],
    )
    response = answer(identifier, item(PatientName="Plain^Ann"))
    assert [element.keyword for element in response] == [
        "ReferencedStudySequence",
        "PatientName",
        "PatientID",
        "EthnicGroup",
        "RequestedProcedureCodeSequence",
        "ScheduledProcedureStepSequence",
    ]
    assert response["EthnicGroup"].is_empty
    assert response.ReferencedStudySequence == []
    assert response.RequestedProcedureCodeSequence[0] == dataset(CodeValue="CTHEAD", CodeMeaning="")
    (step,) = response.ScheduledProcedureStepSequence
    assert [element.keyword for element in step] == [
        "Modality",
        "ScheduledProtocolCodeSequence",
        "ScheduledProcedureStepLocation",
    ]
    assert step.Modality == "CT"
    assert step["ScheduledProcedureStepLocation"].is_empty
    assert step.ScheduledProtocolCodeSequence == []


@pytest.mark.parametrize("items", [[], [{}]])
def test_a_sequence_asked_for_without_keys_comes_whole(items: list[dict[str, Any]]) -> None:
    stored = item()
    response = answer(dataset(ScheduledProcedureStepSequence=items), stored)
    assert response.ScheduledProcedureStepSequence == stored.ScheduledProcedureStepSequence


def test_all_values_of_a_matched_attribute_are_answered() -> None:
    response = answer(worklist(ScheduledStationAETitle="CT2"), item())
    assert list(response.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["CT1", "CT2"]


def test_the_time_zone_is_answered_if_known_and_never_empty() -> None:
    identifier = worklist()
    identifier.TimezoneOffsetFromUTC = ""
    assert "TimezoneOffsetFromUTC" not in answer(identifier, item())
    assert answer(identifier, item(TimezoneOffsetFromUTC="+0100")).TimezoneOffsetFromUTC == "+0100"
    assert "TimezoneOffsetFromUTC" not in answer(worklist(), item(TimezoneOffsetFromUTC="+0100"))


def test_the_item_is_left_alone() -> None:
    stored, before = item(), item()
    response = answer(worklist(PatientName="", ScheduledStationAETitle=""), stored)
    response.ScheduledProcedureStepSequence[0].ScheduledStationAETitle = "X"
    response.PatientName = "Y"
    assert stored == before


@pytest.mark.parametrize(
    ("requested", "name", "expected"),
    [
        (None, "Smith^John", None),
        ("ISO_IR 192", "Smith^John", None),
        (None, "Müller^Jürgen", "ISO_IR 100"),
        ("", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 6", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 192", "Müller^Jürgen", "ISO_IR 192"),
        ("ISO_IR 101", "Dvořák^Antonín", "ISO_IR 101"),
        ("ISO_IR 100", "Dvořák^Antonín", "ISO_IR 101"),
        ("ISO_IR 144", "Иванов^Петр", "ISO_IR 144"),
        ("ISO_IR 144", "Müller^Jürgen", "ISO_IR 100"),
        ("NONSENSE", "Müller^Jürgen", "ISO_IR 100"),
        ("NONSENSE", "山田^太郎", "ISO_IR 192"),
        ("ISO_IR 13", "山田^太郎", "ISO_IR 192"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ISO_IR 13"),
        ("GB18030", "王^小东", "GB18030"),
        (["", "ISO 2022 IR 87"], "Yamada=山田^太郎", ["", "ISO 2022 IR 87"]),
        (["", "ISO 2022 IR 87"], "Müller=山田^太郎", "ISO_IR 192"),
        (["", "ISO 2022 IR 149"], "Kim=김^희중", ["", "ISO 2022 IR 149"]),
        (["ISO 2022 IR 6", "ISO_IR 192"], "山田", "ISO_IR 192"),
    ],
)
def test_character_set(requested: Any, name: str, expected: Any) -> None:
    identifier = worklist(PatientName="")
    if requested is not None:
        identifier.SpecificCharacterSet = requested
    response = answer(identifier, item(PatientName=name))
    found = response.get("SpecificCharacterSet")
    assert (found if found is None or isinstance(found, str) else list(found)) == expected
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, response)
    assert str(read_dataset(BytesIO(buffer.getvalue()), True, True).PatientName) == name


def test_the_character_set_looks_at_nested_and_answered_values_only() -> None:
    stored = item(PatientName="Müller^J", ScheduledPerformingPhysicianName="山田^太郎")
    assert "SpecificCharacterSet" not in answer(dataset(PatientID=""), stored)
    assert answer(dataset(PatientName=""), stored).SpecificCharacterSet == "ISO_IR 100"
    physician = worklist(ScheduledPerformingPhysicianName="")
    assert answer(physician, stored).SpecificCharacterSet == "ISO_IR 192"
