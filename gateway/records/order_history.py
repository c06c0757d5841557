"""The history of an order: what its messages, its patient's arrivals and its performed steps come to.

All are applied in the order of their times (`sort_key`), so that an order does not depend on the order in which they
came. What a modality did to a step that has no message yet waits for the message that orders the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway.errors import GatewayError
from gateway.records.changing import with_changes
from gateway.records.imaging_order import Arrival, Order, Performed, Procedure, Said, Step
from gateway.records.order import OrderedProcedure
from gateway.records.order_adoption import adopted
from gateway.records.order_book import applied, arrived
from gateway.records.step import CREATES, TRANSITIONS, RefusedEvent, StepEvent, StepState


def sort_key(statement: Said) -> tuple[int, int]:
    """Where a statement stands among those of its order; of one time, orders come before what is done to them, and
    both before what was performed."""
    if isinstance(statement, Performed):
        return statement.event_at, 2 if statement.event is StepEvent.PPS_START else 3
    return statement.event_at, int(isinstance(statement, Arrival) or statement.event not in CREATES)


def replayed(history: Iterable[Said]) -> Order | None:
    """The order that this history makes, whatever its order here. A message that its state forbids changes nothing."""
    order: Order | None = None
    performances = Performances()
    waiting: list[Performed] = []
    for statement in sorted(history, key=sort_key):
        if isinstance(statement, Performed):
            waiting.append(statement)
        else:
            order = _after(order, statement)
        if order is not None and waiting:
            order, waiting = _performed(order, waiting, performances)
    return order


def rebuilt_order(order: Order, history: Iterable[Said]) -> Order | None:
    """The order as its history makes it, in the rows that it has; None when no message of it may be applied."""
    rebuilt = replayed(history)
    return None if rebuilt is None else adopted(rebuilt, order)


def _after(order: Order | None, statement: OrderedProcedure | Arrival) -> Order | None:
    try:
        if isinstance(statement, OrderedProcedure):
            return applied(order, statement)[0]
        return None if order is None else arrived(order, statement)
    except GatewayError:
        return order


def _performed(order: Order, waiting: Iterable[Performed], performances: Performances) -> tuple[Order, list[Performed]]:
    """The order after those events whose step is there, and the others."""
    left = []
    for event in waiting:
        after = performances.applied(order, event)
        if after is None:
            left.append(event)
        else:
            order = after
    return order, left


@dataclass(slots=True)
class _Performance:
    """What modalities have done of one step so far."""

    before: StepState
    """The state of the step when the first of those that are under way began."""
    under_way: set[str] = field(default_factory=set)
    """SOP Instance UIDs of performed steps."""
    end: StepEvent | None = None
    """How those that have ended did: completed, when any of them was; None: none has, or all were chosen by mistake."""

    def after(self, state: StepState, event: Performed) -> StepState:
        """The state of the step after the event.

        A step ends with the last performed step that is under way, and has been completed when any of them has. If it
        was chosen by mistake, a step that was cancelled, held or arrived before is so again.
        """
        if event.event is StepEvent.PPS_START:
            if not self.under_way:
                self.before = state
            self.under_way.add(event.performed_step)
            return _moved(state, event.event)
        was_under_way = event.performed_step in self.under_way
        self.under_way.discard(event.performed_step)
        if event.event is not StepEvent.PPS_WRONG_ENTRY and self.end is not StepEvent.PPS_COMPLETE:
            self.end = event.event
        if self.under_way:
            return state
        if self.end is not None:
            return _moved(state, self.end)
        after = _moved(state, event.event)
        return self.before if was_under_way and after is StepState.SCHEDULED else after


def _moved(state: StepState, event: StepEvent) -> StepState:
    after = TRANSITIONS[(state, event)]
    assert not isinstance(after, RefusedEvent), "what a modality did is a fact"
    return after


class Performances:
    """Applies events of performed steps to one order, in the order of their times."""

    def __init__(self) -> None:
        self._of: dict[tuple[int, str], _Performance] = {}

    def applied(self, order: Order, event: Performed) -> Order | None:
        """The order after the event; None when it has no such step."""
        target = _target(order, event)
        if target is None:
            return None
        number, step = target
        performance = self._of.setdefault((number, step.step_id), _Performance(step.state))
        state = performance.after(step.state, event)
        procedure = order.procedures[number]
        steps = tuple(
            with_changes(one, state=state, unbooked_in=None) if one is step and state is not one.state else one
            for one in procedure.steps
        )
        procedures = list(order.procedures)
        procedures[number] = with_changes(procedure, steps=steps)
        return with_changes(order, procedures=tuple(procedures), performed_at=max(order.performed_at, event.event_at))


def _target(order: Order, event: Performed) -> tuple[int, Step] | None:
    """The number of the procedure and the step that an event is about.

    An identifier of ours may be another than the one that was given out, where today's mappings derive it otherwise, or
    where a message has stated it since: it is the step all the same if no other can be meant.
    """
    every = list(_steps(order))
    exact = [(number, step) for uid, number, step in every if (uid, step.step_id) == (event.study_uid, event.step_id)]
    if exact:
        return exact[0]
    near = [
        (number, step)
        for uid, number, step in every
        if (uid == event.study_uid or "StudyInstanceUID" in order.procedures[number].derived)
        and (step.step_id == event.step_id or step.derived or _had_id(order.procedures[number], event.step_id))
    ]
    return near[0] if len(near) == 1 else None


def _had_id(procedure: Procedure, step_id: str) -> bool:
    """Whether the only step of a procedure had this id of ours, before a message stated its own."""
    return len(procedure.steps) == 1 and step_id == procedure.attributes.get("RequestedProcedureID")


def _steps(order: Order) -> Iterator[tuple[str, int, Step]]:
    for number, procedure in enumerate(order.procedures):
        for step in procedure.steps:
            yield procedure.study_uid, number, step
