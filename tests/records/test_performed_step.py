"""The Modality Performed Procedure Step: every pair of state and status, every attribute that has a rule."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gateway.errors import Conflict, InvalidValue, RequiredEmpty, RequiredMissing
from gateway.records.finding import Finding
from gateway.records.performed_step import (
    REASON,
    SCHEDULED_STEPS,
    SET,
    STATUS,
    PerformedState,
    PerformedStep,
    begun,
    scheduled_items,
    updated,
)
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEMS
from gateway.records.step import RefusedEvent, StepEvent

P = PerformedState
SERIES = "PerformedSeriesSequence"


def whole_item(sequence: str) -> dict[str, Any]:
    return dict.fromkeys(ITEMS[sequence], "1")


def whole(**values: Any) -> dict[str, Any]:
    """An N-CREATE to which nothing can be objected."""
    stated: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "1")
    return stated | {SCHEDULED_STEPS: [whole_item(SCHEDULED_STEPS)], SERIES: [], STATUS: "IN PROGRESS"} | values


def end(status: str = "COMPLETED") -> dict[str, Any]:
    times: dict[str, Any] = {"PerformedProcedureStepEndDate": "20260101", "PerformedProcedureStepEndTime": "1200"}
    return {STATUS: status, **times, SERIES: [whole_item(SERIES)]}


def in_state(state: PerformedState) -> PerformedStep:
    step = begun(whole(), strict=True)
    return step if state is P.IN_PROGRESS else updated(step, end(state), strict=True)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("state", "status"), [*product(P, [*P, None, "", "STARTED"])])
def test_every_pair_of_state_and_status(state: PerformedState, status: str | None, strict: bool) -> None:
    """PS3.4 Table F.7.2-2."""
    modifications = end(status or "")
    if status is None:
        del modifications[STATUS]
    before = in_state(state)
    if status == "STARTED":
        with pytest.raises(InvalidValue):
            updated(before, modifications, strict=strict)
    elif state is not P.IN_PROGRESS:
        assert isinstance(SET[(state, PerformedState(status or "IN PROGRESS"))], RefusedEvent)
        with pytest.raises(Conflict, match="may no longer be updated"):
            updated(before, modifications, strict=strict)
    elif status == "" and strict:
        with pytest.raises(RequiredEmpty):
            updated(before, modifications, strict=strict)
    else:
        after = updated(before, modifications, strict=strict)
        assert after.state == (status or "IN PROGRESS")
        assert after.attributes[STATUS] == after.state


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED", "ARRIVED"])
def test_a_step_is_created_in_progress(status: str) -> None:
    with pytest.raises(InvalidValue) as error:
        begun(whole(**{STATUS: status}))
    assert error.value.place == STATUS


REQUIRED = [keyword for keyword, types in ATTRIBUTES.items() if types.create in ("1", "2")]


@pytest.mark.parametrize("keyword", REQUIRED)
def test_what_an_n_create_leaves_out_is_a_finding_or_refuses(keyword: str) -> None:
    stated = whole()
    del stated[keyword]
    with pytest.raises(RequiredMissing) as error:
        begun(stated, strict=True)
    assert (error.value.place, type(error.value)) == (keyword, RequiredMissing)
    if keyword == SCHEDULED_STEPS:
        with pytest.raises(RequiredMissing):
            begun(stated)
    else:
        step = begun(stated)
        assert [finding.place for finding in step.findings] == [keyword]
        assert step.state is P.IN_PROGRESS


@pytest.mark.parametrize("keyword", [one for one in REQUIRED if ATTRIBUTES[one].create == "1"])
def test_an_attribute_of_type_1_without_a_value(keyword: str) -> None:
    stated = whole(**{keyword: [] if keyword == SCHEDULED_STEPS else ""})
    with pytest.raises(RequiredEmpty):
        begun(stated, strict=True)
    if keyword == SCHEDULED_STEPS:
        with pytest.raises(RequiredEmpty):
            begun(stated)
    else:
        assert [finding.place for finding in begun(stated).findings] == [keyword]


def test_an_item_that_names_no_study_cannot_be_taken() -> None:
    item = whole_item(SCHEDULED_STEPS)
    for bad, kind in (({**item, "StudyInstanceUID": ""}, RequiredEmpty), ({"AccessionNumber": "A"}, RequiredMissing)):
        with pytest.raises(kind) as error:
            begun(whole(**{SCHEDULED_STEPS: [item, bad]}))
        assert (error.value.place, type(error.value)) == (f"{SCHEDULED_STEPS}.StudyInstanceUID", kind)


def test_an_item_without_the_rest_is_a_finding() -> None:
    step = begun(whole(**{SCHEDULED_STEPS: [{"StudyInstanceUID": "1.2"}]}))
    assert len(step.findings) == len(ITEMS[SCHEDULED_STEPS]) - 1
    assert step.findings[0].text.endswith("of item 1, and is missing")


def test_what_has_no_rule_is_kept() -> None:
    step = begun(whole(ImageAndFluoroscopyAreaDoseProduct="1.5"), strict=True)
    after = updated(step, {"ExposureDoseSequence": [{"KVP": "80"}]}, strict=True)
    assert after.attributes["ImageAndFluoroscopyAreaDoseProduct"] == "1.5"
    assert after.attributes["ExposureDoseSequence"] == [{"KVP": "80"}]
    assert after.state is P.IN_PROGRESS
    assert after.findings == ()


def test_a_sequence_is_replaced_as_a_whole() -> None:
    one, two = {**whole_item(SERIES), "SeriesInstanceUID": "1.1"}, {**whole_item(SERIES), "SeriesInstanceUID": "1.2"}
    step = updated(begun(whole()), {SERIES: [one]})
    assert updated(step, {SERIES: [two]}).attributes[SERIES] == [two]
    assert updated(step, {"StudyID": "2"}).attributes[SERIES] == [one]


def test_what_an_n_set_may_not_hold_is_left_as_it_was_created() -> None:
    step = begun(whole(PatientName="A^B"))
    after = updated(step, {"PatientName": "C^D", "PatientID": "1"})
    assert after.attributes["PatientName"] == "A^B"
    assert [finding.place for finding in after.findings] == ["PatientName"], "what is repeated is no finding"
    with pytest.raises(InvalidValue) as error:
        updated(step, {"PatientName": "C^D"}, strict=True)
    assert error.value.place == "PatientName"


@pytest.mark.parametrize("keyword", ["PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", SERIES])
def test_what_a_final_step_must_have(keyword: str) -> None:
    without = end()
    del without[keyword]
    step = begun(whole(PerformedProcedureStepEndDate="", PerformedProcedureStepEndTime=""))
    assert [finding.place for finding in updated(step, without).findings] == [keyword]
    with pytest.raises(RequiredMissing):
        updated(step, without, strict=True)


def test_a_console_that_sets_no_more_than_the_status_is_taken() -> None:
    after = updated(begun({SCHEDULED_STEPS: [{"StudyInstanceUID": "1.2"}]}), {STATUS: "COMPLETED"})
    assert after.state is P.COMPLETED
    assert after.event is StepEvent.PPS_COMPLETE


def test_a_discontinued_step_need_not_have_images() -> None:
    step = begun(whole(), strict=True)
    assert updated(step, {**end("DISCONTINUED"), SERIES: []}, strict=True).event is StepEvent.PPS_DISCONTINUE


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ({"CodeValue": "110514", "CodingSchemeDesignator": "DCM"}, StepEvent.PPS_WRONG_ENTRY),
        ({"CodeValue": "110514"}, StepEvent.PPS_WRONG_ENTRY),
        ({"CodeValue": "110514", "CodingSchemeDesignator": "99X"}, StepEvent.PPS_DISCONTINUE),
        ({"CodeValue": "110513", "CodingSchemeDesignator": "DCM"}, StepEvent.PPS_DISCONTINUE),
    ],
)
def test_the_reason_of_a_discontinuation(code: dict[str, str], event: StepEvent) -> None:
    step = begun(whole())
    assert updated(step, {**end("DISCONTINUED"), REASON: [code]}).event is event
    assert updated(step, {**end(), REASON: [code]}).event is StepEvent.PPS_COMPLETE


def test_a_finding_is_kept_once() -> None:
    step = begun(whole())
    for _ in range(2):
        step = updated(step, {"PatientName": "C^D"})
    assert step.findings == (Finding("PatientName", "may not be set; what the N-CREATE states is kept"),)


def test_the_items_each_once() -> None:
    item = {"StudyInstanceUID": "1.2", "ScheduledProcedureStepID": "S1", "AccessionNumber": ""}
    [found] = scheduled_items({SCHEDULED_STEPS: [item, {**item, "RequestedProcedureID": None}]})
    assert (found.study_uid, found.step_id, found.accession_number, found.procedure_id) == ("1.2", "S1", "", "")
    assert scheduled_items({SCHEDULED_STEPS: "odd"}) == scheduled_items({}) == []
