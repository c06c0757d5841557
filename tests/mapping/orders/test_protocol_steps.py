"""IPC segments with an action code (IPC-10): single steps that are added, changed or taken back."""

from __future__ import annotations

import pytest

from gateway.records.order import StepListing
from gateway.records.order_book import applied
from gateway.records.step import StepState
from tests.mapping.samples import MSH, PID, only, order, request, step_ids

OMI = MSH.replace("ORM^O01", "OMI^O23")


def ipc(step: str, action: str = "", modality: str = "CT") -> str:
    return f"IPC|A1|RP1|1.2.3|{step}|{modality}|||||{action}"


def change(*protocols: str, control: str = "XO") -> tuple[str, ...]:
    later = order(control).replace("20260115082900", "20260115092900")
    return OMI, PID, later, request(), *protocols


def states(*messages: tuple[str, ...]) -> dict[str, StepState]:
    held = None
    for message in messages:
        held, _ = applied(held, only(*message))
    assert held is not None
    return {step.step_id: step.state for procedure in held.procedures for step in procedure.steps}


NEW = (OMI, PID, order(), request(), ipc("S1"), ipc("S2"))
THERE, GONE = StepState.SCHEDULED, StepState.CANCELED


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        ((ipc("S1"),), {"S1": THERE, "S2": GONE}),
        ((ipc("S1", "S"), ipc("S2", "S")), {"S1": THERE, "S2": THERE}),
        ((ipc("S2", "D"),), {"S1": THERE, "S2": GONE}),
        ((ipc("S2", "d", modality=""),), {"S1": THERE, "S2": GONE}),
        ((ipc("S1", "U"),), {"S1": THERE, "S2": THERE}),
        ((ipc("S3", "A"),), {"S1": THERE, "S2": THERE, "S3": THERE}),
        ((ipc("S1", "D"), ipc("S3", "A")), {"S1": GONE, "S2": THERE, "S3": THERE}),
        ((ipc("S9", "D"),), {"S1": THERE, "S2": THERE}),
        ((ipc("", "D"),), {"S1": THERE, "S2": THERE}),
    ],
)
def test_an_action_code_is_of_one_step(protocols: tuple[str, ...], expected: dict[str, StepState]) -> None:
    assert states(NEW, change(*protocols)) == expected


def test_a_step_that_is_taken_back_is_not_ordered() -> None:
    read = only(OMI, PID, order(), request(), ipc("S1"), ipc("S2", "D"))
    assert (step_ids(read), read.listing) == (["S1"], StepListing(frozenset({"S2"}), is_whole=False))


def test_an_order_of_nothing_but_withdrawals_makes_no_step() -> None:
    held, outcome = applied(None, only(OMI, PID, order(), request(), ipc("S1", "D")))
    assert (held.procedures, outcome) == ((), "waiting")


def test_a_cancel_names_its_steps_whatever_their_action_code() -> None:
    assert states(NEW, change(ipc("S2", "D"), control="CA")) == {"S1": THERE, "S2": GONE}


def test_a_withdrawal_that_names_no_step_is_a_finding() -> None:
    read = only(OMI, PID, order(), request(), ipc("S1"), ipc("", "D"))
    assert [str(one.place) for one in read.findings] == ["IPC-10"]
