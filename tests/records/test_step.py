"""The Scheduled Procedure Step: the whole product of states and events."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.records.step import (
    APPOINTMENTS,
    BOOKS,
    CREATES,
    FROZEN,
    ORDER_EVENTS,
    PUBLISHED,
    TRANSITIONS,
    RefusedEvent,
    StepEvent,
    StepState,
)

S, E = StepState, StepEvent
OPEN = (S.SCHEDULED, S.ARRIVED, S.READY)
ENDED = (S.COMPLETED, S.DISCONTINUED)
PPS = (E.PPS_START, E.PPS_COMPLETE, E.PPS_DISCONTINUE, E.PPS_WRONG_ENTRY, E.PPS_SILENT)
ORDERS = tuple(event for event in E if event not in PPS)


def after(state: StepState, event: StepEvent) -> StepState | RefusedEvent:
    return TRANSITIONS[(state, event)]


def test_every_pair_has_its_row() -> None:
    assert set(TRANSITIONS) == set(product(S, E))
    for outcome in TRANSITIONS.values():
        assert isinstance(outcome, (StepState, RefusedEvent))
        if isinstance(outcome, RefusedEvent):
            assert outcome.why


def test_a_refusal_leaves_a_step_that_runs_alone() -> None:
    refused = {pair for pair, outcome in TRANSITIONS.items() if isinstance(outcome, RefusedEvent)}
    assert refused == {(S.STARTED, E.CANCEL), (S.STARTED, E.CANCEL_APPOINTMENT), (S.STARTED, E.HOLD)}


@pytest.mark.parametrize("event", ORDERS)
@pytest.mark.parametrize("state", ENDED)
def test_no_order_message_moves_a_step_that_has_ended(state: StepState, event: StepEvent) -> None:
    assert after(state, event) is state


@pytest.mark.parametrize("state", S)
def test_what_has_begun_is_scheduled_again_only_when_it_was_chosen_by_mistake(state: StepState) -> None:
    assert after(state, E.PPS_WRONG_ENTRY) is (S.SCHEDULED if state is S.STARTED else state)
    if state in (S.STARTED, *ENDED):
        reached = {after(state, event) for event in E if event is not E.PPS_WRONG_ENTRY}
        assert not reached & {*OPEN, S.HELD, S.CANCELED}


@pytest.mark.parametrize("state", S)
def test_a_performed_step_may_always_start(state: StepState) -> None:
    """PS3.4 F.7.2.1: what the modality does is a fact, even for a cancelled order and in the append case."""
    assert after(state, E.PPS_START) is S.STARTED


@pytest.mark.parametrize("state", [one for one in S if one not in ENDED])
def test_the_end_of_a_performed_step_ends_the_step(state: StepState) -> None:
    assert after(state, E.PPS_COMPLETE) is S.COMPLETED
    assert after(state, E.PPS_DISCONTINUE) is S.DISCONTINUED


@pytest.mark.parametrize("state", S)
def test_a_modality_that_fell_silent_ends_only_what_runs(state: StepState) -> None:
    assert after(state, E.PPS_SILENT) is (S.DISCONTINUED if state is S.STARTED else state)


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("event", [E.PPS_COMPLETE, E.PPS_DISCONTINUE, E.PPS_SILENT])
def test_the_first_end_stands(state: StepState, event: StepEvent) -> None:
    """PS3.4 F.7.2.2: a performed step that is COMPLETED or DISCONTINUED may no longer be set."""
    assert after(state, event) is state


@pytest.mark.parametrize("state", OPEN)
def test_what_has_not_begun_can_be_cancelled_held_and_brought_back(state: StepState) -> None:
    assert after(state, E.CANCEL) is after(state, E.DISCONTINUE) is S.CANCELED
    assert after(state, E.HOLD) is S.HELD
    assert after(S.HELD, E.RELEASE) is S.SCHEDULED
    assert after(S.CANCELED, E.NEW) is after(S.CANCELED, E.CHANGE) is S.SCHEDULED


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", [one for one in E if one is not E.COMPLETE])
def test_an_event_that_comes_twice_does_nothing_the_second_time(state: StepState, event: StepEvent) -> None:
    first = after(state, event)
    if isinstance(first, StepState):
        second = after(first, event)
        assert second is first


@pytest.mark.parametrize("state", S)
def test_only_orders_bring_a_cancelled_step_back(state: StepState) -> None:
    back = {event for event in ORDERS if after(S.CANCELED, event) in OPEN}
    assert back == {E.NEW, E.CHANGE} == CREATES - {E.ENSURE} == BOOKS - {E.RESCHEDULE}


def test_an_arrived_patient_does_not_go_back() -> None:
    assert after(S.SCHEDULED, E.ARRIVE) is S.ARRIVED
    assert after(S.READY, E.ARRIVE) is S.READY
    for state in OPEN:
        assert after(state, E.NEW) is after(state, E.CHANGE) is after(state, E.RELEASE) is state


def test_what_is_published_is_a_defined_term() -> None:
    """PS3.3 Table C.4-10, Scheduled Procedure Step Status (0040,0020)."""
    assert set(PUBLISHED) == set(S)
    assert set(PUBLISHED.values()) <= {"SCHEDULED", "ARRIVED", "READY", "STARTED", "DEPARTED"}
    assert {S.STARTED, *ENDED} == FROZEN


def test_which_events_order_messages_have() -> None:
    assert set(ORDER_EVENTS) == set(ORDERS) - {E.RESCHEDULE, E.CANCEL_APPOINTMENT}
    assert set(APPOINTMENTS.values()) == {E.RESCHEDULE, E.CANCEL_APPOINTMENT}


@pytest.mark.parametrize("state", S)
def test_a_status_report_moves_nothing(state: StepState) -> None:
    assert after(state, E.STATUS) is after(state, E.ENSURE) is state
