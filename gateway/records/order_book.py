"""An order as the worklist holds it, and what a message makes of it: pure data, pure functions.

`applied` is the order book's only rule. The state of an order is what its messages say, applied one after the other in
the order of their times (`order_history`); in whatever order they arrive, the book comes to the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.errors import Conflict
from gateway.records.changing import with_changes
from gateway.records.imaging_order import (
    APPOINTMENT,
    NO_NUMBER,
    PROCEDURE_KEYS,
    START_DATE,
    START_TIME,
    STEP_ID,
    Arrival,
    Order,
    Procedure,
    Step,
)
from gateway.records.order import Attributes, OrderedProcedure, OrderedStep
from gateway.records.order_numbers import numbered, parent_in, with_accession_number, with_study
from gateway.records.row_ids import PatientRow
from gateway.records.step import BOOKS, CREATES, FROZEN, TRANSITIONS, RefusedEvent, StepEvent, StepState

ENDS: Final = frozenset({StepEvent.CANCEL, StepEvent.DISCONTINUE, StepEvent.CANCEL_APPOINTMENT})


def new_order(statement: OrderedProcedure, patient: PatientRow | None = None) -> Order:
    """An order of which only the numbers are known yet."""
    parent, parent_filler = parent_in(statement)
    return Order(
        patient=patient,
        authority=statement.authority,
        sender=statement.sender,
        placer=statement.placer or NO_NUMBER,
        filler=statement.filler or NO_NUMBER,
        parent=parent,
        parent_filler=parent_filler,
    )


def waiting(order: Order | None, statement: OrderedProcedure, patient: PatientRow | None) -> Order:
    """What is kept of a statement whose order is, as far as is known, another patient's: its numbers."""
    kept = with_accession_number(numbered(order or new_order(statement, patient), statement), statement)
    return with_study(replace(kept, event_at=max(kept.event_at, statement.event_at)), statement)


def applied(order: Order | None, statement: OrderedProcedure, patient: PatientRow | None = None) -> tuple[Order, str]:
    """The order after a message that is not older than those applied before it, and what became of it: `created`,
    `updated`, `tombstone` (a cancel that came before its order) or `waiting` (other words of what was not ordered yet).

    `patient`: the row of the patient, for an order that begins. Raises `Conflict` when the state of a step forbids it.
    """
    event = statement.event
    assert event is not None
    before = order or new_order(statement, patient)
    after = numbered(before, statement)
    if event in CREATES:
        after, outcome = _ordered(after, statement, event)
        return with_study(after, statement), outcome
    procedures, outcome = _moved(after, statement, event)
    newest, moved_at = max(before.event_at, statement.event_at), max(before.moved_at, statement.event_at)
    after = replace(after, procedures=procedures, event_at=newest, moved_at=moved_at)
    return with_study(after, statement), outcome


def outcome_of(order: Order, statement: OrderedProcedure) -> str:
    """What became of a message that made `order` all by itself, arrivals apart."""
    return "created" if order.procedures else _unordered(statement)


def _unordered(statement: OrderedProcedure) -> str:
    """What became of words about something that was not ordered yet."""
    return "tombstone" if statement.event in ENDS else "waiting"


def merged(stored: Attributes, statement: Attributes, *, keep: frozenset[str] = frozenset()) -> Attributes:
    """`stored` with the attributes of a message laid over. None deletes; keywords in `keep` only fill gaps."""
    result = stored | statement
    for keyword in keep:
        if keyword in stored:
            result[keyword] = stored[keyword]
    if None in result.values():
        return {keyword: value for keyword, value in result.items() if value is not None}
    return result


# What orders


def _ordered(order: Order, statement: OrderedProcedure, event: StepEvent) -> tuple[Order, str]:
    attributes = merged(order.attributes, statement.order, keep=statement.derived)
    concerned = _concerned(order, statement, event)
    if concerned:
        [number] = concerned
        changed = _changed(order.procedures[number], statement, event)
        procedures, outcome = _replaced(order.procedures, number, changed), "updated"
    elif statement.steps:
        procedures, outcome = (*order.procedures, _added(statement)), "updated" if order.procedures else "created"
    else:
        procedures, outcome = order.procedures, _unordered(statement)
    authority = statement.authority if "AccessionNumber" in statement.order else order.authority
    newest = max(order.event_at, statement.event_at)
    after = with_changes(
        order,
        authority=authority or order.authority,
        sender=order.sender or statement.sender,
        attributes=attributes,
        procedures=procedures,
        event_at=newest,
    )
    return after, outcome


def _replaced(procedures: tuple[Procedure, ...], number: int, changed: Procedure) -> tuple[Procedure, ...]:
    return (*procedures[:number], changed, *procedures[number + 1 :])


def _added(statement: OrderedProcedure) -> Procedure:
    steps = tuple(_new_step(statement, step) for step in statement.steps)
    return Procedure(merged({}, statement.procedure), statement.derived & PROCEDURE_KEYS, statement.event_at, steps)


def _new_step(statement: OrderedProcedure, step: OrderedStep) -> Step:
    attributes = merged({}, step.attributes)
    return Step(str(attributes[STEP_ID]), StepState.SCHEDULED, attributes, STEP_ID in statement.derived)


def _concerned(order: Order, statement: OrderedProcedure, event: StepEvent) -> list[int]:
    """Which of an order's procedures the message is about; for `CREATES` at most one, none if it is a new one.

    Only identifiers that both sides were given are compared: an identifier that we derived is unknown to the sender.
    """
    unsure = []
    for number, procedure in enumerate(order.procedures):
        comparable = PROCEDURE_KEYS - statement.derived - procedure.derived
        if any(procedure.attributes.get(key) == statement.procedure.get(key) for key in comparable):
            return [number]
        if not comparable:
            unsure.append(number)
    if event in CREATES:
        return unsure if len(order.procedures) == len(unsure) == 1 else []
    return list(range(len(order.procedures))) if statement.derived >= PROCEDURE_KEYS else unsure


def _changed(procedure: Procedure, statement: OrderedProcedure, event: StepEvent) -> Procedure:
    """Add and change the steps that the message lists. A change lists all, unless it states single ones: what it leaves
    out is cancelled, and so is what the message takes back."""
    attributes = merged(procedure.attributes, statement.procedure, keep=statement.derived | {"StudyInstanceUID"})
    listed = {str(step.attributes[STEP_ID]): step for step in statement.steps}
    unnamed = STEP_ID in statement.derived or any(step.derived for step in procedure.steps)
    if unnamed and len(listed) == len(procedure.steps) == 1:
        [step] = procedure.steps
        if step.derived and STEP_ID not in statement.derived and step.state not in FROZEN:
            [name] = listed
            named = replace(step, step_id=name, derived=False, attributes=step.attributes | {STEP_ID: name})
            procedure = replace(procedure, steps=(named,))
        else:
            listed = {step.step_id: statement.steps[0]}
    steps = []
    for step in procedure.steps:
        listing = listed.pop(step.step_id, None)
        if listing is not None:
            step = _changed_step(step, statement, event, listing, procedure.event_at)
        elif step.state not in FROZEN and _is_left_out(step, statement, event):
            step = _step_after(step, StepEvent.CANCEL, statement)
        steps.append(step)
    steps += [_new_step(statement, one) for one in listed.values()]
    derived = procedure.derived - ({"RequestedProcedureID"} - statement.derived)
    return replace(
        procedure,
        attributes=attributes,
        derived=derived,
        event_at=max(procedure.event_at, statement.event_at),
        steps=tuple(steps),
    )


def _is_left_out(step: Step, statement: OrderedProcedure, event: StepEvent) -> bool:
    return step.step_id in statement.listing.withdrawn or (event is StepEvent.CHANGE and statement.listing.is_whole)


def _changed_step(step: Step, statement: OrderedProcedure, event: StepEvent, listing: OrderedStep, newest: int) -> Step:
    if step.state is StepState.CANCELED and statement.event_at <= (step.canceled_at or newest):
        # Only something newer than the cancel brings a step back; a repeated order does not.
        return step
    step = _step_after(step, event, statement)
    if step.state in FROZEN:
        return step
    keep = statement.derived | {STEP_ID}
    if START_DATE not in statement.derived:
        keep -= {START_TIME}
    return replace(step, attributes=merged(step.attributes, listing.attributes, keep=keep))


# What is done to what was ordered


def _moved(order: Order, statement: OrderedProcedure, event: StepEvent) -> tuple[tuple[Procedure, ...], str]:
    if event is StepEvent.PARENT:
        return order.procedures, "updated"
    concerned = _concerned(order, statement, event)
    procedures, spoken_of = order.procedures, 0
    for number in concerned:
        procedure = procedures[number]
        named = _named(procedure, statement)
        steps = tuple(
            _rescheduled(_step_after(step, event, statement), statement, event) if step.step_id in named else step
            for step in procedure.steps
        )
        newest = max(procedure.event_at, statement.event_at)
        procedures = _replaced(procedures, number, replace(procedure, steps=steps, event_at=newest))
        spoken_of += len(named)
    return (procedures, "updated") if spoken_of else (order.procedures, _unordered(statement))


def _named(procedure: Procedure, statement: OrderedProcedure) -> set[str]:
    """The steps of a cancel, hold or release: those that the message names, or all when it names none."""
    there = {step.step_id for step in procedure.steps}
    if STEP_ID in statement.derived or all(step.derived for step in procedure.steps):
        return there
    return there & {str(step.attributes.get(STEP_ID)) for step in statement.steps}


def _rescheduled(step: Step, statement: OrderedProcedure, event: StepEvent) -> Step:
    if event is not StepEvent.RESCHEDULE or step.state in FROZEN or not statement.steps:
        return step
    listing = next((one for one in statement.steps if one.attributes.get(STEP_ID) == step.step_id), statement.steps[0])
    stated = {key: listing.attributes[key] for key in APPOINTMENT - statement.derived if key in listing.attributes}
    return replace(step, attributes=merged(step.attributes, stated))


def _step_after(step: Step, event: StepEvent, statement: OrderedProcedure) -> Step:
    """The step after an event. What ends the order and what cancels the appointment do not undo one another."""
    before = step.unbooked_in or step.state
    after = TRANSITIONS[(before, event)]
    if isinstance(after, RefusedEvent):
        raise Conflict(f"{event.value} of step {step.step_id} is refused: {after.why}", place=statement.place.at(1))
    if event in ENDS and after is StepState.CANCELED:
        step = replace(step, canceled_at=statement.event_at)
    if event is StepEvent.CANCEL_APPOINTMENT and after is StepState.CANCELED:
        return replace(step, state=after, unbooked_in=before)
    if step.unbooked_in is None or event in BOOKS or after in FROZEN:
        return step if after is step.state else replace(step, state=after, unbooked_in=None)
    return replace(step, unbooked_in=after)


def arrived(order: Order, arrival: Arrival) -> Order:
    """The order of a patient who is here."""
    procedures = []
    for procedure in order.procedures:
        steps = tuple(
            replace(step, state=StepState.ARRIVED)
            if TRANSITIONS[(step.state, StepEvent.ARRIVE)] is StepState.ARRIVED
            and step.attributes.get(START_DATE) == arrival.day
            else step
            for step in procedure.steps
        )
        procedures.append(replace(procedure, steps=steps))
    return replace(order, procedures=tuple(procedures))
