"""Orders that lack something or are wrong: null and nothing, what is refused and where, settings, the trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    GatewayError,
    Malformed,
    Rejected,
    RequiredMissing,
    UnknownCode,
    ValueTooLong,
)
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.functions import Settings
from gateway.records.order import Number, OrderedProcedure
from gateway.records.step import CREATES
from gateway.wire.hl7.parsing import parse
from tests.mapping.samples import (
    MSH,
    OBR,
    ORC,
    PID,
    RECEIVED,
    SHIPPED,
    SITE,
    ZDS,
    message,
    only,
    order,
    ordered,
    orders,
    protocols,
    read,
    request,
    said,
    step_ids,
)


def test_a_null_deletes_and_an_empty_field_says_nothing() -> None:
    attributes = said(MSH, PID.replace("|19800102|F", '|""|'), ORC, request("S1"))
    assert attributes["PatientBirthDate"] is None
    assert "PatientSex" not in attributes


def test_a_null_lets_the_other_paths_speak() -> None:
    attributes = said(MSH, PID, 'PV1|1|O||||||""', "ORC|NW|PL1||||||||||5^Order^Olga", request("S1"))
    assert attributes["ReferringPhysicianName"] == "Order^Olga"


def test_a_null_identifier_is_derived() -> None:
    one = only(MSH, PID, "ORC|NW|PL1", 'OBR|1|||||||||||||||||""|""|""||||CT', 'ZDS|""')
    assert step_ids(one) == ["PL1"]
    assert one.derived >= {"AccessionNumber", "RequestedProcedureID", "StudyInstanceUID", "ScheduledProcedureStepID"}


# --- what is wrong with a message ---

FIRST = (MSH, PID, order(number="1"), request())
WRONG: list[tuple[tuple[str, ...], type[GatewayError], str]] = [
    ((MSH, ORC, OBR), RequiredMissing, "PID"),
    ((MSH, PID), RequiredMissing, "ORC"),
    ((MSH, PID, OBR), Malformed, "OBR"),
    ((MSH, PID, PID, ORC, OBR), Malformed, "PID[2]"),
    # The second patient's order must never become the first one's.
    ((MSH, PID, ORC, OBR, PID.replace("P1", "P2"), ORC, OBR), Malformed, "PID[2]"),
    ((MSH, ORC, OBR, PID), Malformed, "PID[1]"),
    ((MSH, PID.replace("P1", ""), ORC, OBR), RequiredMissing, "PID-3.1"),
    ((MSH, PID.replace("P1^^^HOSPITAL^MR", '""'), ORC, OBR), RequiredMissing, "PID-3.1"),
    ((MSH, PID.replace("Doe^Jane", ""), ORC, OBR), RequiredMissing, "PID-5*"),
    ((MSH, PID.replace("P1", "P" * 65), ORC, OBR), ValueTooLong, "PID-3.1"),
    ((MSH, PID, ORC.replace("NW", ""), OBR), RequiredMissing, "ORC[1]-1"),
    ((MSH, PID, ORC.replace("NW", '""'), OBR), RequiredMissing, "ORC[1]-1"),
    ((MSH, PID, "ORC|NW", request("S1")), RequiredMissing, "ORC[1]-2"),
    ((MSH, PID, ORC, OBR.replace("|A1|", "|a-number-of-more-than-16|")), ValueTooLong, "OBR-18.1"),
    ((MSH, PID, ORC, OBR.replace("||||CT", "||||")), RequiredMissing, "OBR-24.1"),
    ((MSH, PID, ORC, OBR.replace("||||CT", "||||"), "IPC|A1"), RequiredMissing, "IPC-5.1"),
    ((MSH, PID, ORC), RequiredMissing, "IPC-5.1"),
    ((MSH, PID, ORC, OBR.replace("||||CT", "||||XRAY")), UnknownCode, "OBR-24.1"),
    ((*FIRST, order(number="2"), request(modality="XRAY")), UnknownCode, "OBR-24.1 of ORC[2]"),
    ((*FIRST, order(number="2"), request(modality="")), RequiredMissing, "OBR-24.1 of ORC[2]"),
    ((MSH, PID, order(), request(), "ORC||PL2", request()), RequiredMissing, "ORC[2]-1"),
    ((MSH, PID, order(), request(), "ORC|NW", request()), RequiredMissing, "ORC[2]-2"),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "kind", "place"), WRONG)
def test_what_is_wrong_is_told_with_its_place(segments: tuple[str, ...], kind: type[GatewayError], place: str) -> None:
    with pytest.raises(kind) as raised:
        read(*segments)
    assert type(raised.value) is kind
    assert str(raised.value.place) == place


LEFT_OUT: list[tuple[tuple[str, ...], str, str]] = [
    ((MSH, PID.replace("19800102", "1980-99-99"), ORC, OBR), "PatientBirthDate", "PID-7"),
    ((MSH, PID.replace("19800102", "00000000"), ORC, OBR), "PatientBirthDate", "PID-7"),
    ((MSH, PID, "PV1|1|O|||||||||||||||||" + "V" * 70, ORC, OBR), "AdmissionID", "PV1-19.1"),
    ((MSH, PID, ORC.replace("20260115082900", "soon"), OBR), "IssueDateOfImagingServiceRequest", "ORC-9"),
]


@pytest.mark.parametrize(("segments", "keyword", "place"), LEFT_OUT)
def test_what_cannot_be_said_and_is_not_needed_is_left_out_with_a_finding(
    segments: tuple[str, ...], keyword: str, place: str
) -> None:
    [procedure] = read(*segments)
    assert isinstance(procedure, OrderedProcedure)
    assert keyword not in {**procedure.patient, **procedure.order}
    assert place in [str(finding.place) for finding in procedure.findings]


def test_another_place_is_asked_when_the_first_holds_nothing_that_can_be_used() -> None:
    trace: list[Trace] = []
    [procedure] = read(MSH, PID, ORC.replace("20260116090000", "202601"), f"{OBR}", trace=trace)
    assert isinstance(procedure, OrderedProcedure)
    [step] = procedure.steps
    assert step.attributes["ScheduledProcedureStepStartDate"]
    assert "ORC-7.4" in [str(finding.place) for finding in procedure.findings]


def test_a_study_uid_that_is_none_is_derived() -> None:
    one = only(MSH, PID, ORC, OBR, "ZDS|1.2.x")
    assert "StudyInstanceUID" in one.derived
    assert [str(finding.place) for finding in one.findings] == ["ZDS-1.1"]


def test_an_item_whose_code_does_not_fit_is_left_out() -> None:
    trace: list[Trace] = []
    (one,) = read(MSH, PID, ORC, OBR.replace("CTP^Protocol^L", f"CTP^Protocol^{'L' * 17}"), trace=trace)
    assert protocols(one) == ["CTCHEST"]
    meaning = "Meaning " * 10
    (one,) = read(MSH, PID, ORC, OBR.replace("CTP^Protocol^L", f"CTP^{meaning}^L"), trace=trace)
    (code,) = one.steps[0].attributes["ScheduledProtocolCodeSequence"]
    assert code["CodeMeaning"] == ("Meaning " * 8).strip()


def test_a_cancel_needs_no_more_than_the_keys_of_its_order() -> None:
    one = only(MSH, "PID|||P1", "ORC|CA|PL1^RIS||||||||")
    assert (one.control, one.placer, one.filler) == ("CA", Number("PL1", "RIS"), None)
    assert one.patient == {"PatientID": "P1", "IssuerOfPatientID": "HOSPITAL"}
    assert "Modality" not in one.steps[0].attributes
    with pytest.raises(RequiredMissing):
        only(MSH, "PID|||P1", "ORC|NW|PL1^RIS")


def test_a_row_that_the_worklist_needs_is_required_even_if_it_does_not_say_so(tmp_path: Path) -> None:
    overlay = orders(tmp_path, "procedure:\n  StudyInstanceUID: ZDS-1.1\n")
    with pytest.raises(RequiredMissing) as raised:
        only(MSH, PID, ORC, request("S1"), overlay=overlay)
    assert str(raised.value.place) == "ZDS-1.1"


# --- settings ---


def test_settings_stand_in_for_what_the_message_lacks() -> None:
    bare = Settings(SITE.zone)
    parts = (MSH, PID.replace("^^^HOSPITAL^MR", ""), ORC, request("S1"))
    assert said(*parts)["IssuerOfPatientID"] == "HOSPITAL"
    assert said(*parts, settings=bare)["IssuerOfPatientID"] == "IMAGING"
    assert "ScheduledStationAETitle" not in said(*parts, settings=bare)
    assert said(*parts, settings=replace(bare, station_aes=("CT7",)))["ScheduledStationAETitle"] == "CT7"
    assert {"IssuerOfPatientID", "ScheduledStationAETitle"} <= only(*parts).derived


# --- trace ---


def test_the_trace_tells_where_each_value_came_from() -> None:
    trace: list[Trace] = []
    read(
        MSH,
        PID,
        ORC,
        OBR.replace("|A1|RP1|SPS1|", "|||SPS1|").replace("CHEST^CT chest", f"^{'word ' * 20}"),
        trace=trace,
    )
    found = {one.target: one for one in trace}
    assert (found["PatientID"].value, found["PatientID"].source) == ("P1", "PID-3.1")
    assert found["PatientID"].origin.startswith("order_to_worklist.yaml:")
    assert found["AccessionNumber"].source == "derived (accession_number)"
    assert found["ScheduledStationAETitle"].source == "source.station_aes"
    assert (found["RequestedProcedurePriority"].source, found["RequestedProcedurePriority"].remark) == (
        "ORC-7.6",
        "table priority: S -> STAT",
    )
    assert found["RequestedProcedureDescription"].remark == "cut from 99 to at most 64 characters"
    assert {one.level for one in trace} == {"patient", "order", "procedure", "step"}


def test_the_trace_tells_orders_apart() -> None:
    trace: list[Trace] = []
    read(MSH, PID, order(number="1"), request(), order(number="2"), request(), trace=trace)
    accessions = [(one.level, one.value) for one in trace if one.target == "AccessionNumber"]
    assert accessions == [("order", "FI1"), ("order[2]", "FI2")]


# --- any message at all ---

RICH = message(
    MSH,
    PID,
    "NTE|1||note",
    "PV1|1|O|W^1^2|||||9^Refer^Rita|||||||B6||||V1",
    "AL1|1||p^Penicillin",
    ORC,
    "TQ1|1||||||20260116",
    OBR,
    "NTE|1||note",
    "OBX|1|NM|w^Body Weight||70|kg",
    "IPC|A1^N^1.2^ISO|RP1|1.2.840.1|S1|CT|c^m^s|||AE1~AE2",
    order(number="2"),
    request("S2", accession="A1", procedure="RP1"),
    ZDS,
)
PIECES = st.sampled_from(
    [
        b"",
        b"|",
        b"^",
        b"~",
        b"&",
        b"\\",
        b'""',
        b"\r",
        b"ORC|",
        b"PID|",
        b"IPC|",
        b"NW",
        b"CA",
        b"2026",
        b"-0500",
        b"1.2",
    ]
) | st.sampled_from(
    [b"\\X0A\\", b"\\X1B\\", b"\xc3\xa9", b"x" * 70, b"=", b'PID|1||""', b"9" * 20, b"ORC|NW|" + b"9" * 40]
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A rich order with a few places overwritten."""
    raw = bytearray(RICH)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(len(MSH), len(raw)))
        raw[start : start + draw(st.integers(0, 12))] = draw(PIECES)
    return bytes(raw)


def test_the_message_that_is_mutated_is_read() -> None:
    (first,) = ordered(SHIPPED.orders.read(parse(RICH), received_at=RECEIVED))
    assert step_ids(first) == ["S1", "S2"]


@given(mutations())
def test_read_raises_nothing_but_rejected_and_gives_what_the_worklist_needs(raw: bytes) -> None:
    try:
        parsed = parse(raw)
    except Rejected:
        return
    try:
        procedures = ordered(SHIPPED.orders.read(parsed, received_at=RECEIVED, trace=[]))
    except Rejected as error:
        if not error.place:
            pytest.fail(f"an error without a place: {error}")
        return
    for procedure in procedures:
        needed: list[Any] = [procedure.procedure["StudyInstanceUID"]]
        if procedure.event in CREATES:
            needed.append(procedure.patient["PatientID"])
        needed += [procedure.procedure["RequestedProcedureID"], *step_ids(procedure)]
        assert all(isinstance(one, str) and one for one in needed)
        assert len(set(step_ids(procedure))) == len(procedure.steps) >= 1
