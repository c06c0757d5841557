"""A rebuilt order takes over the rows and the given identifiers of the stored one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import PROCEDURE_KEYS, Order, Procedure, Step
from gateway.records.order import Number
from gateway.records.order_adoption import adopted, united
from gateway.records.row_ids import OrderRow, PatientRow, ProcedureRow, StepRow
from gateway.records.step import StepState

ORDER = Order("HOSP", "RIS", Number("P1", ""), Number("F1", ""), "")
STORED = replace(ORDER, row=OrderRow(7), patient=PatientRow(3))
NOTHING, UID = frozenset[str](), frozenset({"StudyInstanceUID"})


def _step(step_id: str, row: int | None = None, *, derived: bool = False) -> Step:
    attributes = {"ScheduledProcedureStepID": step_id}
    return Step(step_id, StepState.SCHEDULED, attributes, derived, row=None if row is None else StepRow(row))


def _procedure(
    uid: str, *steps: Step, name: str = "RP1", derived: frozenset[str] = NOTHING, row: int | None = None
) -> Procedure:
    attributes = {"StudyInstanceUID": uid, "RequestedProcedureID": name}
    return Procedure(attributes, derived, 1, steps, None if row is None else ProcedureRow(row))


def _adopted(rebuilt: Procedure, *stored: Procedure) -> Procedure:
    order = adopted(replace(ORDER, procedures=(rebuilt,)), replace(STORED, procedures=stored))
    assert (order.row, order.patient) == (STORED.row, STORED.patient)
    [procedure] = order.procedures
    return procedure


def test_rows_go_by_study_and_step() -> None:
    stored = _procedure("1.9", row=1), _procedure("1.2", _step("S2", 4), _step("S1", 5), row=2)
    procedure = _adopted(_procedure("1.2", _step("S1"), _step("S3")), *stored)
    assert procedure.row == 2
    assert [(step.step_id, step.row) for step in procedure.steps] == [("S1", 5), ("S3", None)]


def test_a_procedure_that_was_not_there_has_no_row() -> None:
    assert _adopted(_procedure("1.2", name="RP2"), _procedure("1.9", row=1)).row is None


@pytest.mark.parametrize(
    ("rebuilt", "stored", "uid", "name", "derived"),
    [
        # What was given out stays where today's mappings, or another message, would derive it otherwise.
        (("1.2", "X", PROCEDURE_KEYS), ("1.9", "Y", PROCEDURE_KEYS), "1.9", "Y", PROCEDURE_KEYS),
        # A stated id takes the place of ours; the Study Instance UID that was given out stays.
        (("1.2", "RP1", UID), ("1.9", "Y", PROCEDURE_KEYS), "1.9", "RP1", UID),
        # A stated Study Instance UID that is in its row is nobody's derivation.
        (("1.2", "RP1", UID), ("1.9", "RP1", NOTHING), "1.9", "RP1", NOTHING),
        # Stated on both sides: what the history says.
        (("1.2", "RP2", NOTHING), ("1.2", "RP1", NOTHING), "1.2", "RP2", NOTHING),
    ],
)
def test_what_was_given_out_stays(
    rebuilt: tuple[str, str, frozenset[str]],
    stored: tuple[str, str, frozenset[str]],
    uid: str,
    name: str,
    derived: frozenset[str],
) -> None:
    (new_uid, new_name, new_derived), (old_uid, old_name, old_derived) = rebuilt, stored
    procedure = _adopted(
        _procedure(new_uid, name=new_name, derived=new_derived),
        _procedure(old_uid, name=old_name, derived=old_derived, row=1),
    )
    assert (procedure.row, procedure.study_uid, procedure.derived) == (1, uid, derived)
    assert procedure.attributes["RequestedProcedureID"] == name


def test_the_surest_pair_comes_first() -> None:
    """By study, before by an id, before what nothing speaks against."""
    rebuilt = (_procedure("1.1", name="A", derived=PROCEDURE_KEYS), _procedure("1.2", name="B"))
    stored = (_procedure("1.2", name="B", row=2), _procedure("1.3", name="C", derived=PROCEDURE_KEYS, row=3))
    order = adopted(replace(ORDER, procedures=rebuilt), replace(STORED, procedures=stored))
    assert [procedure.row for procedure in order.procedures] == [3, 2]


@pytest.mark.parametrize(
    ("rebuilt", "stored", "step_id"),
    [
        (_step("X", derived=True), _step("Y", 4, derived=True), "Y"),
        (_step("S1"), _step("S1", 4), "S1"),
        (_step("S1"), _step("S1", 4, derived=True), "S1"),
    ],
)
def test_a_step_keeps_its_row_and_an_id_of_ours(rebuilt: Step, stored: Step, step_id: str) -> None:
    [step] = _adopted(_procedure("1.2", rebuilt), _procedure("1.2", stored, row=1)).steps
    assert (step.step_id, step.attributes["ScheduledProcedureStepID"], step.row) == (step_id, step_id, 4)


def test_two_orders_are_united_in_the_row_of_the_first() -> None:
    kept = replace(STORED, filler=Number("", ""), attributes={"AccessionNumber": "A"}, event_at=5, moved_at=1)
    other = replace(
        ORDER, row=OrderRow(8), placer=Number("P1", "X"), attributes={"AccessionNumber": "B", "Reason": "R"},
        event_at=3, moved_at=2, performed_at=4, parent="P0", procedures=(_procedure("1.2"),),
        study_uid=StudyInstanceUID("1.3"),
    )  # fmt: skip
    both = united(kept, other)
    assert (both.row, both.patient) == (kept.row, kept.patient)
    assert (both.placer, both.filler, both.parent) == (kept.placer, other.filler, "P0")
    assert both.attributes == {"AccessionNumber": "A", "Reason": "R"}
    assert (both.event_at, both.moved_at, both.performed_at) == (5, 2, 4)
    assert both.study_uids == {"1.2", "1.3"}
