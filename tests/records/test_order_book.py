"""The order book: an order is what its messages say, in whatever order they come."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Conflict, Place
from gateway.records.imaging_order import Arrival, Order
from gateway.records.order import Number, OrderedProcedure, OrderedStep
from gateway.records.order_adoption import adopted
from gateway.records.order_book import applied, arrived, replayed
from gateway.records.order_matching import statement_about
from gateway.records.step import CREATES, FROZEN, TRANSITIONS, Refused, StepEvent, StepState

DAY = "20301124"
PPS = frozenset({StepEvent.PPS_START, StepEvent.PPS_COMPLETE, StepEvent.PPS_DISCONTINUE})
BY_MESSAGE = [event for event in StepEvent if event not in PPS | {StepEvent.ARRIVE}]


def said(event: StepEvent, at: int = 1, *steps: str, procedure: str = "RP1", **of_step: Any) -> OrderedProcedure:
    listed = steps or ("S1",)
    start = {"ScheduledProcedureStepStartDate": DAY, "ScheduledProcedureStepStartTime": "0930"}
    return OrderedProcedure(
        place=Place("ORC", sequence=1),
        event=event,
        control="NW",
        event_at=at,
        patient={"PatientID": "P"},
        order={"AccessionNumber": "A"},
        procedure={"StudyInstanceUID": f"1.2.{procedure[2:]}", "RequestedProcedureID": procedure},
        steps=tuple(OrderedStep({"ScheduledProcedureStepID": one, **start, **of_step}) for one in listed),
        authority="RIS",
        sender="RIS",
        placer=Number("P1", "RIS"),
    )


def in_state(state: StepState, at: int = 0) -> Order:
    order, _ = applied(None, said(StepEvent.NEW, at))
    [procedure] = order.procedures
    steps = tuple(replace(step, state=state) for step in procedure.steps)
    return replace(order, procedures=(replace(procedure, steps=steps),))


def states(order: Order | None) -> list[StepState]:
    return [] if order is None else [step.state for procedure in order.procedures for step in procedure.steps]


@pytest.mark.parametrize(("state", "event"), list(product(StepState, BY_MESSAGE)))
def test_every_event_does_to_every_state_what_the_table_says(state: StepState, event: StepEvent) -> None:
    before = in_state(state)
    outcome = TRANSITIONS[(state, event)]
    if isinstance(outcome, Refused):
        with pytest.raises(Conflict, match=outcome.why):
            applied(before, said(event))
        return
    after, _ = applied(before, said(event))
    assert states(after) == [outcome]


@pytest.mark.parametrize("state", StepState)
def test_an_arrival_does_what_the_table_says_on_its_day(state: StepState) -> None:
    expected = StepState.ARRIVED if TRANSITIONS[(state, StepEvent.ARRIVE)] is StepState.ARRIVED else state
    assert states(arrived(in_state(state), Arrival(5, DAY))) == [expected]
    assert states(arrived(in_state(state), Arrival(5, "20301125"))) == [state]


@pytest.mark.parametrize("state", StepState)
@pytest.mark.parametrize("event", [StepEvent.NEW, StepEvent.CHANGE, StepEvent.RESCHEDULE])
def test_what_the_modality_has_copied_is_not_rewritten(state: StepState, event: StepEvent) -> None:
    changed = said(event, 1, ScheduledProcedureStepStartTime="1700")
    after, _ = applied(in_state(state), changed)
    [step] = after.procedures[0].steps
    assert (step.attributes["ScheduledProcedureStepStartTime"] == "0930") == (state in FROZEN)


def test_a_refusal_changes_nothing_of_any_step() -> None:
    order, _ = applied(None, said(StepEvent.NEW, 1, "S1", "S2"))
    [procedure] = order.procedures
    running = (procedure.steps[0], replace(procedure.steps[1], state=StepState.STARTED))
    order = replace(order, procedures=(replace(procedure, steps=running),))
    with pytest.raises(Conflict):
        applied(order, replace(said(StepEvent.CANCEL, 2), derived=frozenset({"ScheduledProcedureStepID"})))
    assert states(order) == [StepState.SCHEDULED, StepState.STARTED]


EVENTS = st.sampled_from([one for one in BY_MESSAGE if one is not StepEvent.PARENT])


@st.composite
def histories(draw: st.DrawFn) -> list[OrderedProcedure | Arrival]:
    times = draw(st.lists(st.integers(1, 50), unique=True, min_size=1, max_size=9))
    history: list[OrderedProcedure | Arrival] = []
    for at in times:
        if draw(st.integers(0, 9)) == 0:
            history.append(Arrival(at, DAY))
            continue
        names = draw(st.lists(st.sampled_from(["S1", "S2", "S3"]), unique=True, min_size=1, max_size=3))
        procedure = draw(st.sampled_from(["RP1", "RP1", "RP2"]))
        time = draw(st.sampled_from(["0930", "1015", "1200"]))
        one = said(draw(EVENTS), at, *names, procedure=procedure, ScheduledProcedureStepStartTime=time)
        unnamed = draw(st.sets(st.sampled_from(["ScheduledProcedureStepID"])))
        history.append(replace(one, derived=frozenset(unnamed if one.event not in CREATES else ())))
    return history


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_messages_come_does_not_matter(history: list[Any], shuffle: random.Random) -> None:
    """Each message is put in its place among those before it, as scheduling does."""
    shuffled = [*history]
    shuffle.shuffle(shuffled)
    order: Order | None = None
    for number, _ in enumerate(shuffled, 1):
        rebuilt = replayed(shuffled[:number])
        order = rebuilt if order is None or rebuilt is None else adopted(rebuilt, order)
    expected = replayed(history)
    assert order == expected


@given(histories())
def test_what_comes_in_order_is_applied_as_it_comes(history: list[Any]) -> None:
    order: Order | None = None
    for one in sorted(history, key=lambda one: one.event_at):
        if isinstance(one, Arrival):
            order = order if order is None else arrived(order, one)
        else:
            order, _ = applied(order, one)
    assert order == replayed(history)


def test_a_message_speaks_of_the_order_whose_number_it_has() -> None:
    order, _ = applied(None, said(StepEvent.NEW))
    other = replace(said(StepEvent.CANCEL, procedure="RP7"), placer=Number("P9", "RIS"), order={})
    assert statement_about(said(StepEvent.CANCEL), order) is not None
    assert statement_about(other, order) is None
