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
from gateway.records.imaging_order import Arrival, Order, Performed
from gateway.records.order import Number, OrderedProcedure, OrderedStep
from gateway.records.order_adoption import adopted
from gateway.records.order_book import applied, arrived
from gateway.records.order_history import Performances, replayed
from gateway.records.order_matching import statement_about
from gateway.records.step import CREATES, FROZEN, TRANSITIONS, RefusedEvent, StepEvent, StepState

DAY = "20301124"
ENDS = (StepEvent.PPS_COMPLETE, StepEvent.PPS_DISCONTINUE, StepEvent.PPS_WRONG_ENTRY)
PPS = frozenset({StepEvent.PPS_START, *ENDS})
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


def performed(event: StepEvent, at: int, step: str = "S1", *, pps: str = "0", study: str = "1.2.1") -> Performed:
    return Performed(at, event, pps, study, step)


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
    if isinstance(outcome, RefusedEvent):
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
def examinations(draw: st.DrawFn) -> list[Performed]:
    """The events of up to three performed steps: each begins, and may end later."""
    events = []
    for number in range(draw(st.integers(0, 3))):
        step = draw(st.sampled_from(["S1", "S2"]))
        began = draw(st.integers(1, 50))
        events.append(performed(StepEvent.PPS_START, began, step, pps=f"{number}"))
        if draw(st.booleans()):
            ended = draw(st.integers(began, 60))
            events.append(performed(draw(st.sampled_from(ENDS)), ended, step, pps=f"{number}"))
    return events


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


@given(histories(), examinations(), st.randoms(use_true_random=False))
def test_the_order_in_which_messages_come_does_not_matter(
    messages: list[Any], events: list[Performed], shuffle: random.Random
) -> None:
    """Each message, and event of a performed step, is put in its place among those before it, as the stations do."""
    history = [*messages, *events]
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


START, COMPLETE, DISCONTINUE, WRONG = StepEvent.PPS_START, *ENDS
S = StepState
APPEND = [performed(START, 2), performed(COMPLETE, 3), performed(START, 4, pps="1")]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([performed(START, 2)], S.STARTED),
        ([performed(START, 2), performed(COMPLETE, 3)], S.COMPLETED),
        ([performed(START, 2), performed(DISCONTINUE, 3)], S.DISCONTINUED),
        ([performed(START, 2), performed(WRONG, 3)], S.SCHEDULED),
        # Appended acquisitions: ended by the last that is under way, completed if any was.
        (APPEND, S.STARTED),
        ([*APPEND, performed(COMPLETE, 5, pps="1")], S.COMPLETED),
        ([*APPEND, performed(DISCONTINUE, 5, pps="1")], S.COMPLETED),
        ([*APPEND, performed(WRONG, 5, pps="1")], S.COMPLETED),
        ([performed(START, 2), performed(START, 3, pps="1"), performed(COMPLETE, 4)], S.STARTED),
        ([performed(START, 2), performed(START, 3, pps="1"), performed(WRONG, 4)], S.STARTED),
        ([performed(START, 2), performed(DISCONTINUE, 3), performed(START, 4, pps="1")], S.STARTED),
        (
            [
                performed(START, 2),
                performed(START, 3, pps="1"),
                performed(DISCONTINUE, 4),
                performed(WRONG, 5, pps="1"),
            ],
            S.DISCONTINUED,
        ),
        # A cancel of what runs is refused, whenever it comes; one before it leaves what was done.
        ([performed(START, 2), said(StepEvent.CANCEL, 3)], S.STARTED),
        ([said(StepEvent.CANCEL, 2), performed(START, 3)], S.STARTED),
        ([said(StepEvent.CANCEL, 2), performed(START, 3), performed(WRONG, 4)], S.CANCELED),
        ([said(StepEvent.HOLD, 2), performed(START, 3), performed(WRONG, 4)], S.HELD),
        ([performed(START, 2), performed(COMPLETE, 3), said(StepEvent.CHANGE, 4)], S.COMPLETED),
        # The clock of a modality is behind that of the RIS: the step waits for its order.
        ([performed(START, 0)], S.STARTED),
        ([performed(START, 0), performed(COMPLETE, 0)], S.COMPLETED),
    ],
)
def test_what_performed_steps_make_of_a_scheduled_step(events: list[Any], state: StepState) -> None:
    for history in ([said(StepEvent.NEW), *events], [*reversed(events), said(StepEvent.NEW)]):
        assert states(replayed(history)) == [state]


def test_what_is_performed_freezes_what_a_later_change_says_of_the_step() -> None:
    late = said(StepEvent.CHANGE, 3, ScheduledProcedureStepStartTime="1700")
    order = replayed([said(StepEvent.NEW), late, performed(START, 2)])
    assert order is not None
    assert order.procedures[0].steps[0].attributes["ScheduledProcedureStepStartTime"] == "0930"
    assert order.performed_at == 2


def test_an_event_of_a_step_that_the_order_does_not_have_changes_nothing() -> None:
    order, _ = applied(None, said(StepEvent.NEW))
    assert Performances().applied(order, performed(START, 2, "S9")) is None
    assert Performances().applied(order, performed(START, 2, study="1.9")) is None


def test_an_identifier_of_ours_that_is_derived_anew_is_the_step_all_the_same() -> None:
    derived = replace(said(StepEvent.NEW), derived=frozenset({"StudyInstanceUID", "ScheduledProcedureStepID"}))
    order, _ = applied(None, derived)
    after = Performances().applied(order, performed(START, 2, "S9", study="1.9"))
    assert states(after) == [StepState.STARTED]


def test_a_message_speaks_of_the_order_whose_number_it_has() -> None:
    order, _ = applied(None, said(StepEvent.NEW))
    other = replace(said(StepEvent.CANCEL, procedure="RP7"), placer=Number("P9", "RIS"), order={})
    assert statement_about(said(StepEvent.CANCEL), order) is not None
    assert statement_about(other, order) is None
