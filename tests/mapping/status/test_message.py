"""The fields of a status where the order came without a message, and what a mapping file of statuses may say."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway import mapping
from gateway.errors import ConfigError, RequiredMissing
from gateway.mapping.status.message import StatusMapping
from gateway.mapping.status.scope import StatusScope
from gateway.mapping.status.shapes import SHAPES
from gateway.records.order import Number
from tests.mapping.samples import FHIR, SITE, site

ORDERED = {
    "PatientID": "PAT1", "IssuerOfPatientID": "HOSP", "PatientName": "MUSTER^MAX^A^DR^JR==X", "AccessionNumber": "ACC1",
    "StudyInstanceUID": "1.2.3", "RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "SPS1", "Modality": "CT",
    "RequestedProcedureCodeSequence": [{"CodeValue": "CTH", "CodeMeaning": "CT | head", "CodingSchemeDesignator": "L"}],
    "RequestingPhysician": "QUILL^NORA",
}  # fmt: skip
PERFORMED = {
    "PerformedProcedureStepStartDate": "20260701", "PerformedProcedureStepStartTime": "120000.5",
    "TimezoneOffsetFromUTC": "+0000", "PerformedProcedureStepEndDate": "garbage", "PerformedProcedureStepEndTime": "1",
}  # fmt: skip
FACTS = {
    "status.order": "started", "status.event": "pps-start", "status.at": "20260701140000+0200", "status.number": "1",
}  # fmt: skip
NUMBERS = {"order.placer": Number("P1", "RIS"), "order.filler": Number("", "")}


def scope(**ordered: object) -> StatusScope:
    return StatusScope(ORDERED | ordered, PERFORMED, FACTS, NUMBERS)


def statuses(*overlay: Path) -> StatusMapping:
    file = mapping.load(SITE, FHIR, *overlay).files[mapping.STATUSES]
    return StatusMapping(file, ZoneInfo("Europe/Berlin"))


def test_an_order_without_a_message_is_told_from_its_attributes() -> None:
    made = statuses().build("ORM^O01", (2, 3, 1), [[scope()]])
    fields = dict(made.segments)
    assert [name for name, _ in made.segments] == ["PID", "ORC", "OBR", "ZDS"]
    assert fields["PID"] == {3: [[["PAT1"], [""], [""], ["HOSP"]]], 5: [[["MUSTER"], ["MAX"], ["A"], ["JR"], ["DR"]]]}
    assert fields["ORC"][2] == [[["P1"], ["RIS"]]]
    assert 3 not in fields["ORC"]
    assert fields["OBR"][4] == [[["CTH"], ["CT | head"], ["L"]]]
    assert fields["OBR"][7] == [[["20260701140000+0200"]]], "in the site's zone"
    assert 8 not in fields["OBR"]
    assert [one.text for one in made.findings] == ["'garbage' '1' is no date and time"]
    assert fields["OBR"][16] == [[[""], ["QUILL"], ["NORA"]]]


def test_steps_of_one_procedure_are_groups_of_orm_and_ipcs_of_omi() -> None:
    two = [[scope(), scope(ScheduledProcedureStepID="SPS2")]]
    orm = statuses().build("ORM^O01", (2, 3, 1), two).segments
    assert [fields[20] for name, fields in orm if name == "OBR"] == [[[["SPS1"]]], [[["SPS2"]]]]
    assert [fields[1] for name, fields in orm if name == "OBR"] == [[[["1"]]], [[["2"]]]]
    omi = statuses().build("OMI^O23", (2, 5, 1), two).segments
    assert [name for name, _ in omi] == ["PID", "ORC", "OBR", "IPC", "IPC"]
    assert [fields[4] for name, fields in omi if name == "IPC"] == [[[["SPS1"]]], [[["SPS2"]]]]


@pytest.mark.parametrize("kind", SHAPES)
def test_what_no_ris_can_do_without_is_missed(kind: str) -> None:
    with pytest.raises(RequiredMissing) as raised:
        statuses().build(kind, (2, 5, 1), [[scope(PatientID="", PatientName="X")]])
    assert str(raised.value.place) == "PID-3"


def test_a_site_lays_rows_and_codes_over_ours(tmp_path: Path) -> None:
    files = {
        "step_to_status.yaml": "OBR:\n  OBR-18: off\n  OBR-21@ORM: performed.PerformedProcedureStepStartDate\n",
        "tables/order_status.csv": "started,A\n",
    }
    fields = dict(statuses(site(tmp_path, files)).build("ORM^O01", (2, 3, 1), [[scope()]]).segments)
    assert (fields["ORC"][5], fields["OBR"].get(18), fields["OBR"][21]) == ([[["A"]]], None, [[["20260701"]]])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ORC:\n  ORC-5: off\n", "cannot be off"),
        ("ORC:\n  OBR-5: ORC-5\n", "is no field of ORC"),
        ("ORC:\n  ORC-5@ZZZ: ORC-5\n", "ZZZ is no type of a status"),
        ("ORC:\n  ORC-9: status.when\n", "there is no 'status.when'"),
        ("ORC:\n  ORC-9: performed.Nothing\n", "'Nothing' is no DICOM attribute"),
        ("ORC:\n  ORC-9: {from: status.at, with: [Modality]}\n", "takes no attributes in 'with'"),
        ("ORC:\n  ORC-9: {from: status.order, table: sex, required: true}\n", "has nothing for 'SCHEDULED'"),
    ],
)
def test_faults_of_a_mapping_file_are_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        statuses(site(tmp_path, {"step_to_status.yaml": text}))
    assert any(fault in one for one in raised.value.faults), raised.value.faults
