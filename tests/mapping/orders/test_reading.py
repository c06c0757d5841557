"""Reading orders: messages of each kind, several orders in one, and what the gateway adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.records.order import Number
from gateway.records.step import StepEvent
from tests.mapping.samples import (
    MSH,
    OBR,
    ORC,
    ORM,
    PID,
    RECEIVED,
    ZDS,
    fields,
    only,
    order,
    orders,
    protocols,
    read,
    request,
    said,
    step_ids,
)

AT_0829_IN_BERLIN = 1_768_462_140_000_000
STATIONS = frozenset({"ScheduledStationAETitle", "InstitutionName"})
"""What the settings of the tests' site, and the sender in MSH-4, give to an order that says nothing of them."""


# --- one order ---


def test_an_order_as_ihe_has_it() -> None:
    one = only(*ORM)
    assert (str(one.place), one.control, one.event) == ("ORC[1]", "NW", StepEvent.NEW)
    assert one.event_at == AT_0829_IN_BERLIN
    assert (one.authority, one.placer, one.filler) == ("IMAGING", Number("PL1", "RIS"), Number("FI1", "RIS"))
    assert one.derived == STATIONS
    assert one.patient == {
        "PatientID": "P1",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19800102",
        "PatientSex": "F",
    }
    assert one.order == {
        "AccessionNumber": "A1",
        "PlacerOrderNumberImagingServiceRequest": "PL1",
        "OrderPlacerIdentifierSequence": [{"LocalNamespaceEntityID": "RIS"}],
        "FillerOrderNumberImagingServiceRequest": "FI1",
        "OrderFillerIdentifierSequence": [{"LocalNamespaceEntityID": "RIS"}],
        "IssueDateOfImagingServiceRequest": "20260115",
        "IssueTimeOfImagingServiceRequest": "082900",
        "InstitutionName": "IMAGING",
    }
    ordered = {"CodeValue": "CTCHEST", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "CT chest"}
    assert one.procedure == {
        "RequestedProcedureID": "RP1",
        "StudyInstanceUID": "1.2.840.1",
        "RequestedProcedureDescription": "CT chest",
        "RequestedProcedureCodeSequence": [ordered],
        "RequestedProcedurePriority": "STAT",
    }
    (step,) = one.steps
    assert step.attributes == {
        "Modality": "CT",
        "ScheduledStationAETitle": ["CT1", "CT2"],
        "ScheduledProcedureStepStartDate": "20260116",
        "ScheduledProcedureStepStartTime": "090000",
        "ScheduledProcedureStepDescription": "Protocol",
        "ScheduledProtocolCodeSequence": [
            {"CodeValue": "CTP", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "Protocol"}
        ],
        "ScheduledProcedureStepID": "SPS1",
    }


def test_everything_else_that_an_order_may_say() -> None:
    attributes = said(
        MSH,
        fields(
            "PID",
            f3="P1^^^HOSPITAL&1.2.3&ISO^MR~77^^^STATE^SS",
            f5="Nick^J^^^^^N~Doe^Jane^^^^^L",
            f6="Maid^Mia",
            f7="19800102",
            f8="U",
            f10="W^White",
            f11="Elm 1^^Town",
            f18="V1^^^ADT",
        ),
        "NTE|1||about the patient",
        fields(
            "PV1",
            f3="WARD^1^2",
            f8="9^Refer^Rita",
            f10="RADS",
            f11="TEMP^9",
            f15="B6~B1",
            f16="VIP",
            f19="V2^^^ADT2",
        ),
        "AL1|1||p^Penicillin",
        "AL1|2||latex",
        fields("ORC", f1="NW", f2="PL1", f10="5^Enter^Ed", f12="7^Order^Olga", f14="030 1"),
        fields(
            "OBR",
            f5="R",
            f12="^Confused",
            f13="Pacemaker",
            f16="8^Ask^Ann",
            f24="CT",
            f27="^^^202601160930^^A",
            f28="1^Copy^Cora~2^Kopi^Karl",
            f30="WHEL",
            f31="r1^Cough^I10",
            f34="6&Tech&Tom",
            f44="NC^New code^LN",
        ),
        "NTE|1||first",
        "NTE|2||second",
        "DG1|1||J18^Pneumonia^I10|Lungs",
        "OBX|1|NM|w^Body Weight||154|lb",
        "NTE|1||about the weight",
        "OBX|2|NM|h^Body Height||180|cm",
    )
    expected = {
        "IssuerOfPatientIDQualifiersSequence": [{"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}],
        "OtherPatientIDsSequence": [{"PatientID": "77", "IssuerOfPatientID": "STATE", "TypeOfPatientID": "TEXT"}],
        "PatientName": "Doe^Jane",
        "PatientMotherBirthName": "Maid^Mia",
        "PatientAddress": "Elm 1, Town",
        "EthnicGroup": "White",
        "PatientComments": "about the patient",
        "Allergies": ["Penicillin", "latex"],
        "PatientWeight": "69.85",
        "PatientSize": "1.8",
        "PregnancyStatus": "3",
        "ConfidentialityConstraintOnPatientDataDescription": "VIP",
        "AdmissionID": "V2",
        "IssuerOfAdmissionIDSequence": [{"LocalNamespaceEntityID": "ADT2"}],
        "CurrentPatientLocation": "TEMP 9",
        "PatientState": "Confused",
        "MedicalAlerts": "Pacemaker",
        "ReferringPhysicianName": "Refer^Rita",
        "RequestingPhysician": "Ask^Ann",
        "OrderEnteredBy": "Enter^Ed",
        "OrderCallbackPhoneNumber": "030 1",
        "RequestingService": "RADS",
        "NamesOfIntendedRecipientsOfResults": ["Copy^Cora", "Kopi^Karl"],
        "PatientTransportArrangements": "WHEL",
        "ReasonForTheRequestedProcedure": "Cough",
        "ReasonForRequestedProcedureCodeSequence": [
            {"CodeValue": "r1", "CodingSchemeDesignator": "I10", "CodeMeaning": "Cough"}
        ],
        "RequestedProcedureComments": "first\r\nsecond",
        "RequestedProcedureDescription": "New code",
        "RequestedProcedurePriority": "HIGH",
        "ScheduledPerformingPhysicianName": "Tech^Tom",
        "ScheduledProcedureStepStartDate": "20260116",
        "ScheduledProcedureStepStartTime": "093000",
    }
    assert {keyword: attributes.get(keyword) for keyword in expected} == expected
    # U is in the table and stands for nothing.
    assert "PatientSex" not in attributes


@pytest.mark.parametrize(
    ("segments", "date", "time"),
    [
        ((ORC, "TQ1|1||||||20260201101500+0000", OBR), "20260201", "111500"),
        ((ORC, OBR), "20260116", "090000"),
        (("ORC|NW|PL1", OBR + "|||^^^202601170800"), "20260117", "080000"),
        (("ORC|NW|PL1", OBR + "||||||||||||20260118"), "20260118", "000000"),
        (("ORC|NW|PL1", OBR.replace("^L||||", "^L||20260120|202601190700|")), "20260119", "070000"),
        (("ORC|NW|PL1", OBR.replace("^L||||", "^L||20260120||")), "20260120", "000000"),
        # 17:46:40 UTC is an hour later in Berlin in March before the 31st.
        (("ORC|NW|PL1", OBR), "20300317", "184640"),
    ],
)
def test_the_schedule_comes_from_the_first_field_that_has_one(segments: tuple[str, ...], date: str, time: str) -> None:
    one = only(MSH, PID, *segments)
    (step,) = one.steps
    start = [step.attributes[f"ScheduledProcedureStepStart{part}"] for part in ("Date", "Time")]
    assert start == [date, time]
    ours = {"ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"}
    assert ours & one.derived == (ours if date == "20300317" else set())


def test_times_without_offset_are_meant_in_the_zone_of_msh_7() -> None:
    utc = MSH.replace("20260115083000", "20260115083000+0000")
    one = only(utc, *ORM[1:])
    assert one.event_at == AT_0829_IN_BERLIN + 3_600_000_000
    assert one.steps[0].attributes["ScheduledProcedureStepStartTime"] == "100000"
    assert one.patient["PatientBirthDate"] == "19800102"


@pytest.mark.parametrize(
    ("orc", "msh_7", "event_at"),
    [
        ("20260115082900", "", AT_0829_IN_BERLIN),
        ('""', "20260115082900", AT_0829_IN_BERLIN),
        ("", "20260115082900", AT_0829_IN_BERLIN),
        ("", "yesterday", RECEIVED),
        ("", "", RECEIVED),
    ],
)
def test_when_the_event_was(orc: str, msh_7: str, event_at: int) -> None:
    header = MSH.replace("20260115083000", msh_7)
    assert only(header, PID, f"ORC|NW|PL1|||||||{orc}", OBR).event_at == event_at


def test_identifiers_that_the_message_lacks_are_derived_and_always_the_same() -> None:
    bare = (MSH, PID, "ORC|NW|PL1|FI1", request())
    one = only(*bare)
    assert one.derived >= {"AccessionNumber", "RequestedProcedureID", "StudyInstanceUID", "ScheduledProcedureStepID"}
    assert (one.order["AccessionNumber"], one.procedure["RequestedProcedureID"]) == ("FI1", "FI1")
    assert step_ids(one) == ["FI1"]
    uid = one.procedure["StudyInstanceUID"]
    assert uid.startswith("2.25.")
    assert only(*bare).procedure["StudyInstanceUID"] == uid
    elsewhere = only(MSH.replace("|IMAGING|GATEWAY", "|ELSEWHERE|GATEWAY"), *bare[1:])
    assert elsewhere.procedure["StudyInstanceUID"] != uid


def test_who_ordered_is_the_facility_else_the_application_else_the_listener() -> None:
    for header, sender in (
        (MSH, "IMAGING"),
        (MSH.replace("|IMAGING|GATEWAY", '|""|GATEWAY'), "RIS"),
        (MSH.replace("|RIS|IMAGING|", "|||"), "ris"),
    ):
        one = only(header, PID, "ORC|NW|PL1", request("S1"))
        assert (one.authority, one.sender, one.placer) == (sender, sender, Number("PL1", ""))


def test_order_numbers_in_the_obr_are_found() -> None:
    one = only(MSH, PID, 'ORC|NW|""', request("S1").replace("OBR|1|||", "OBR|1|PL9^^1.2^ISO|FI9^RIS|"))
    assert (one.placer, one.filler) == (Number("PL9", "1.2"), Number("FI9", "RIS"))


def test_an_accession_number_alone_will_do(tmp_path: Path) -> None:
    one = only(MSH, PID, "ORC|NW", request("S1", accession="A1"))
    assert (one.placer, one.filler, one.order["AccessionNumber"]) == (None, None, "A1")
    assert one.procedure["RequestedProcedureID"] == "A1"
    elsewhere = orders(tmp_path, "order:\n  AccessionNumber: {from: OBR-20.1}\n")
    assert only(MSH, PID, "ORC|NW", request("A7"), overlay=elsewhere).order["AccessionNumber"] == "A7"


# --- several orders ---


def test_pairs_of_one_procedure_are_its_steps_and_share_the_zds_at_the_end() -> None:
    one = only(
        MSH, PID,
        order(), request("S1", accession="A1", procedure="RP1"),
        order(), request("S2", accession="A1", procedure="RP1"),
        ZDS,
    )  # fmt: skip
    assert step_ids(one) == ["S1", "S2"]
    assert one.procedure["StudyInstanceUID"] == "1.2.840.1"
    assert one.derived == STATIONS


def test_pairs_of_one_step_are_its_protocol_codes() -> None:
    one = only(
        MSH, PID,
        order(), request("S1", accession="A1", procedure="RP1", code="C1"),
        order(), request("S1", accession="A1", procedure="RP1", code="C2"),
        order(), request("S1", accession="A1", procedure="RP1", code="C1"),
        ZDS,
    )  # fmt: skip
    assert step_ids(one) == ["S1"]
    assert protocols(one) == ["C1", "C2"]


def test_pairs_of_one_step_may_have_no_codes() -> None:
    plain = 'OBR|1|||""||||||||||||||A1|RP1|S1||||CT'
    one = only(MSH, PID, order(), plain, order(), plain, ZDS)
    assert step_ids(one) == ["S1"]
    assert not one.steps[0].attributes.get("ScheduledProtocolCodeSequence")


def test_pairs_of_one_procedure_without_a_study_uid_are_tied_by_its_id() -> None:
    one = only(
        MSH, PID,
        order(), request("S1", accession="A1", procedure="RP1"),
        order(), request("S2", accession="A1", procedure="RP1"),
    )  # fmt: skip
    assert step_ids(one) == ["S1", "S2"]
    assert one.derived == STATIONS | {"StudyInstanceUID"}


def test_pairs_of_one_study_are_one_procedure_whatever_their_numbers() -> None:
    one = only(
        MSH, PID,
        order(number="1"), request("S1", accession="A1"),
        order(number="2"), request("S2", accession="A1"),
        ZDS,
    )  # fmt: skip
    assert step_ids(one) == ["S1", "S2"]


def test_pairs_without_step_ids_are_numbered() -> None:
    pairs = [part for _ in range(3) for part in (order(), request(accession="A1", procedure="RP1"))]
    one = only(MSH, PID, *pairs, ZDS)
    assert step_ids(one) == ["RP1", "RP1-2", "RP1-3"]
    assert one.derived == STATIONS | {"ScheduledProcedureStepID"}


def test_what_one_pair_says_the_message_says() -> None:
    undated = "ORC|NW|PL1^RIS|FI1^RIS"
    one = only(
        MSH, PID,
        order(), request("S1", accession="A1", procedure="RP1"),
        undated, request("S2", accession="A1", procedure="RP1"),
        ZDS,
    )  # fmt: skip
    assert one.derived == STATIONS


def test_orders_of_an_ehr_are_each_their_own() -> None:
    first, second = read(MSH, PID, order(number="1"), request(), order(number="2"), request())
    assert (str(first.place), str(second.place)) == ("ORC[1]", "ORC[2]")
    assert [one.order["AccessionNumber"] for one in (first, second)] == ["FI1", "FI2"]
    assert first.procedure["StudyInstanceUID"] != second.procedure["StudyInstanceUID"]


def test_orders_of_two_studies_are_two_procedures() -> None:
    first, second = read(
        MSH, PID,
        order(), request("S1", accession="A1", procedure="RP1"), ZDS,
        order(), request("S2", accession="A1", procedure="RP2"), "ZDS|1.2.840.2",
    )  # fmt: skip
    assert [one.procedure["StudyInstanceUID"] for one in (first, second)] == ["1.2.840.1", "1.2.840.2"]


def test_a_cancel_beside_a_change_is_told_apart() -> None:
    changed, cancelled = read(
        MSH, PID,
        order("XO"), request("S1", accession="A1", procedure="RP1"),
        order("CA"), request("S2", accession="A1", procedure="RP1"),
        ZDS,
    )  # fmt: skip
    assert (changed.control, step_ids(changed)) == ("XO", ["S1"])
    assert (cancelled.control, step_ids(cancelled)) == ("CA", ["S2"])
    assert cancelled.procedure["StudyInstanceUID"] == "1.2.840.1"


def test_each_ipc_is_a_step() -> None:
    one = only(
        MSH.replace("ORM^O01", "OMI^O23^OMI_O23").replace("2.3.1", "2.5.1"), PID,
        "ORC|NW|PL1^RIS|FI1^RIS", "TQ1|1||||||20260116090000||R", "OBR|1|PL1^RIS|FI1^RIS|CTCHEST^CT chest^L",
        "IPC|A1^RIS|RP1|1.2.840.5|S1|CT|C1^One^L~C2^Two^L|ROOM1|R1^Room 1|CTA~CTB",
        "IPC|A1^RIS|RP1|1.2.840.5|S2|MR|C3^Three^L||^Room 2|MRA",
    )  # fmt: skip
    assert step_ids(one) == ["S1", "S2"]
    assert (protocols(one), protocols(one, 1)) == (["C1", "C2"], ["C3"])
    first, second = (step.attributes for step in one.steps)
    assert (first["Modality"], first["ScheduledStationAETitle"]) == ("CT", ["CTA", "CTB"])
    assert (first["ScheduledStationName"], first["ScheduledProcedureStepLocation"]) == ("ROOM1", "Room 1")
    assert (first["ScheduledProcedureStepDescription"], first["ScheduledProcedureStepStartTime"]) == ("One", "090000")
    assert (second["Modality"], second["ScheduledStationAETitle"]) == ("MR", "MRA")
    assert one.authority == "RIS"
    assert (one.order["AccessionNumber"], one.procedure["StudyInstanceUID"]) == ("A1", "1.2.840.5")
    assert one.procedure["RequestedProcedurePriority"] == "ROUTINE"


def test_two_ipcs_of_one_step_are_its_protocols() -> None:
    same = ("IPC|A1|RP1|1.2.840.5|S1|CT|C1^One^L", "IPC|A1|RP1|1.2.840.5|S1|CT|C2^Two^L")
    one = only(MSH, PID, "ORC|NW|PL1", "OBR|1", *same)
    assert (step_ids(one), protocols(one)) == (["S1"], ["C1", "C2"])


def test_an_ipc_without_ids_gets_them() -> None:
    one = only(MSH, PID, "ORC|NW|PL1", "OBR|1", "IPC|||||CT", "IPC|||||MR")
    assert step_ids(one) == ["PL1", "PL1-2"]
    assert {"AccessionNumber", "StudyInstanceUID", "ScheduledProcedureStepID"} <= one.derived


# --- notes ---


def test_a_note_belongs_to_what_it_follows() -> None:
    head = (MSH, "ARV|1|S", "NTE|1||about the message", PID)
    without = said(*head, ORC, request("S1"), "OBX|1|NM|x||1", "PRT|1|AD", "NTE|1||about the observation")
    assert "PatientComments" not in without
    assert "RequestedProcedureComments" not in without
    patient_only = said(*head, "NTE|1||about the patient", ORC, request("S1"))
    assert patient_only["PatientComments"] == "about the patient"
    assert "RequestedProcedureComments" not in patient_only
