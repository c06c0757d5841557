"""Orders, results and appointments: finding the order that is meant, and bringing it to what its messages say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from gateway.errors import Place, RequiredMissing, UnknownCode, UnknownKey
from gateway.journey.scheduling.applied import Policy, SchedulingWork
from gateway.journey.scheduling.arrivals import arrivals_of
from gateway.journey.scheduling.order_joining import brought_up, joined
from gateway.journey.scheduling.order_lookup import look_up
from gateway.journey.scheduling.patient_words import about, update_patient
from gateway.records import evidence_of, order_book, order_history, order_matching, order_numbers
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import Arrival, Order, Said
from gateway.records.order import NOT_IMAGING, OrderedProcedure
from gateway.records.order_book import ENDS
from gateway.records.patient import IDENTITY, Identity, Rank, first_values, identity_of
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.records.step import BOOKS, CREATES, StepEvent, StepState
from gateway.store import early, patients, settling
from gateway.store import order_book as book
from gateway.store import order_kin as kin
from gateway.store.statement import Row

MEANINGLESS: Final = frozenset({StepEvent.RESPONSE})
"""Events that change nothing, whatever they speak of."""
OF_ANOTHER: Final = (
    "the order with this number belongs to another patient; nothing is changed until the two are merged (A40, A47)"
)
FORGOTTEN: Final = (
    "the message is older than orders are kept (retention.orders_days), and no such order is here; nothing is changed"
)
UNORDERED: Final = {
    "tombstone": "no such order is known yet; should an older one come, it is cancelled",
    "waiting": "nothing that this speaks of was ordered yet; it is applied when the order comes",
}


def apply(work: SchedulingWork, statement: OrderedProcedure) -> None:
    """Apply one order group and note in `work.applied` what came of it."""
    if statement.event is None and not work.policy.ignore_unknown_control:
        raise UnknownCode(
            f"order control {statement.control!r} is not one that the worklist knows", place=statement.place.at(1)
        )
    if statement.event is None or statement.event in MEANINGLESS:
        work.applied.orders.append((None, "ignored"))
        return
    who = identity_of(statement.patient) if "PatientID" in statement.patient else None
    if who is not None:
        patients.hold(work.connection, who)
    _apply(work, statement, who)
    if (end := order_matching.replacement(statement)) is not None:
        _apply(work, end, who, unless_done=True)


def _apply(
    work: SchedulingWork, statement: OrderedProcedure, who: Identity | None, *, unless_done: bool = False
) -> None:
    """`unless_done`: leave an order alone of which the message has spoken already (RP beside RO)."""
    spoken_of = patients.find(work.connection, who) if who is not None else None
    named = None if spoken_of is None else patients.hold_survivor(work.connection, spoken_of)
    found = look_up(work.connection, statement, named)
    if unless_done and not {row for row, _ in work.applied.orders}.isdisjoint(one.row for one in found.orders):
        return
    if found.of_another and work.policy.unknown_order == "reject":
        raise UnknownKey("the order with this number belongs to another patient", place=Place("PID", 3))
    order = joined(work, found.orders, arrivals_of(named) if named is not None else [])
    waits = found.of_another and not (order and order.procedures)
    if not waits and _is_none_of_ours(work, statement, order):
        return
    patient, arrivals = (
        _patient_of(work, order) if who is None else _patient(work, statement, who, spoken_of, named, order)
    )
    if waits:
        _keep(work, statement, order, patient)
        return
    after, row = _apply_to(work, statement, order, patient, arrivals)
    before = (after.placer, after.filler) if order is None else (order.placer, order.filler)
    is_tied = any(order_numbers.parent_in(statement)) or before != (after.placer, after.filler)
    if is_tied or len(found.orders) > 1:
        for one in kin.children(work.connection, replace(after, row=row)):
            brought_up(work, one, arrivals)
    if statement.event not in CREATES:
        for one in kin.children(work.connection, replace(after, row=row)):
            _apply_to(work, order_matching.of_child(statement), one, one.patient, arrivals)


def _is_forgotten(work: SchedulingWork, statement: OrderedProcedure) -> bool:
    """Whether the statement, and the days that it names, are older than orders are kept."""
    if work.policy.orders_kept is None:
        return False
    oldest = work.now - work.policy.orders_kept
    day = f"{datetime.fromtimestamp(oldest / 1e6, UTC):%Y%m%d}"
    days = (str(step.attributes.get("ScheduledProcedureStepStartDate") or "") for step in statement.steps)
    return statement.event_at < oldest and all(one < day for one in days)


def _is_none_of_ours(work: SchedulingWork, statement: OrderedProcedure, order: Order | None) -> bool:
    """Whether the statement is of no order for the worklist, with a note of why. Raises `RequiredMissing`."""
    if order is None and _is_forgotten(work, statement):
        work.applied.orders.append((None, "ignored"))
        work.applied.note(statement.place.at(2), FORGOTTEN)
        return True
    if order is None and not _begins(statement, work.policy):
        work.applied.orders.append((None, "ignored"))
        work.applied.note(statement.place.at(2), "no order with this number is known; the message changes nothing")
        return True
    lacking = _lacking(statement, order)
    if lacking is None:
        return False
    if statement.not_imaging is None:
        raise lacking
    work.applied.orders.append((None, NOT_IMAGING))
    work.applied.note(statement.not_imaging.place, statement.not_imaging.text)
    return True


def _keep(work: SchedulingWork, statement: OrderedProcedure, order: Order | None, patient: PatientRow | None) -> None:
    """Keep the message of one patient about the order of another for the merge that makes them one."""
    row = book.save(work.connection, order, order_book.waiting(order, statement, patient), now=work.now)
    work.applied.orders.append((row, "waiting"))
    work.applied.note(Place("PID", 3), OF_ANOTHER)


def _lacking(statement: OrderedProcedure, order: Order | None) -> RequiredMissing | None:
    """The required attribute that a change leaves out and the order does not have either."""
    if not statement.missing or order is None or not order.procedures:
        return next(iter(statement.missing), None)
    # An order that is there has its patient.
    of_steps = [lacking for lacking in statement.missing if lacking.place != Place("PID")]
    held = {step.step_id for procedure in order.procedures for step in procedure.steps}
    stated = {str(step.attributes.get("ScheduledProcedureStepID")) for step in statement.steps}
    is_new = "ScheduledProcedureStepID" not in statement.derived and not stated <= held
    return of_steps[0] if of_steps and is_new else None


def _patient_of(work: SchedulingWork, order: Order | None) -> tuple[PatientRow | None, Sequence[Arrival]]:
    """The patient of an order, for a message that does not name one."""
    row = patients.get(work.connection, order.patient) if order is not None and order.patient is not None else None
    return (PatientRow(row["id"]), arrivals_of(row)) if row is not None else (None, [])


def _begins(statement: OrderedProcedure, policy: Policy) -> bool:
    """Whether a message of an unknown order is kept for it. Raises `UnknownKey` where the site wants AE 204."""
    if statement.event in CREATES:
        return True
    if statement.event is StepEvent.STATUS:
        # That two numbers are one order's is news, whatever the status is.
        is_news = bool(statement.control) and len(order_numbers.stated(statement)) > 1
        return is_news and policy.unknown_order == "wait"
    if statement.event in ENDS:
        return True
    if statement.event is StepEvent.RESCHEDULE:
        return policy.unknown_order == "wait"
    if not statement.control:
        # A report of something that was never ordered here is nothing to wait for.
        return False
    if policy.unknown_order == "reject":
        raise UnknownKey(
            f"no order with this number is known; {statement.event} needs one", place=statement.place.at(2)
        )
    return True


def _apply_to(
    work: SchedulingWork,
    statement: OrderedProcedure,
    order: Order | None,
    patient: PatientRow | None,
    arrivals: Sequence[Arrival],
) -> tuple[Order, OrderRow]:
    known = order is not None and bool(order.procedures)
    if work.again or _is_older(statement, order, arrivals) or _needs_history(statement, order):
        subject = order_numbers.numbered(order or order_book.new_order(statement, patient), statement)
        if any(order_numbers.parent_in(statement)):
            kin.parents(work.connection, subject, hold=True)
        history = work.history(work.connection, subject)
        after, outcome = _in_its_place(statement, order, [*arrivals, *history])
    else:
        after, outcome = order_book.applied(order, statement, patient)
    if outcome == "updated" and not known and after.procedures:
        outcome = "created"
    if after.patient != patient:
        after = replace(after, patient=patient)
    row = book.save(work.connection, order, after, now=work.now)
    work.applied.orders.append((row, outcome))
    if outcome in UNORDERED:
        work.applied.note(statement.place.at(1), UNORDERED[outcome])
    if statement.event in CREATES:
        _meet_early(work, row, after, statement, arrivals)
        if (stated := evidence_of.expected(statement.procedure, at=work.now)) is not None:
            settling.state(work.connection, *stated)
    return after, row


def _is_older(statement: OrderedProcedure, order: Order | None, arrivals: Sequence[Arrival]) -> bool:
    """Whether the message belongs before something that has been applied. Of one time, an order belongs before what
    is done to it, and both before what was performed."""
    if arrivals and statement.event_at <= arrivals[-1].event_at:
        return True
    if order is None:
        return False
    if statement.event_at < order.event_at or statement.event_at <= order.performed_at:
        return True
    return statement.event_at == order.moved_at and statement.event in CREATES


def _needs_history(statement: OrderedProcedure, order: Order | None) -> bool:
    """Whether more than the stored order decides what the newest message does: what was done to the parent of a child,
    or whether it was the order that ended or its appointment."""
    if any(order_numbers.parent_in(statement)):
        return True
    return (
        order is not None
        and statement.event in BOOKS
        and any(step.state is StepState.CANCELED for procedure in order.procedures for step in procedure.steps)
    )


def _in_its_place(statement: OrderedProcedure, order: Order | None, history: Sequence[Said]) -> tuple[Order, str]:
    """The order as it would be had its messages come in the order of their times."""
    messages = [*history, statement]
    after = order_history.replayed(messages) if order is None else order_history.rebuilt_order(order, messages)
    if after is None:
        # Its state forbids the message; the error names the reason.
        return order_book.applied(order, statement)
    if order is None:
        return after, order_book.outcome_of(after, statement)
    return after, "stale" if replace(after, event_at=order.event_at) == order else "updated"


# The patient of an order


def _patient(
    work: SchedulingWork,
    statement: OrderedProcedure,
    who: Identity,
    spoken_of: Row | None,
    row: Row | None,
    order: Order | None,
) -> tuple[PatientRow, Sequence[Arrival]]:
    """The row of the message's patient, made if there is none, and the patient's last arrivals."""
    if order is not None and order.patient is not None and (row is None or row["id"] != order.patient):
        row = patients.get(work.connection, order.patient)
        assert row is not None
    rank = _rank(statement, work.policy)
    if row is None:
        if statement.event in CREATES:
            attributes, stamps = first_values(statement.patient, rank, statement.event_at)
        else:
            # Who only speaks of an order is not listened to about its patient, whichever comes first.
            attributes, stamps = {key: value for key, value in statement.patient.items() if key in IDENTITY}, {}
        return patients.add(
            work.connection, who, attributes=attributes, stamps=stamps, first_at=statement.event_at, now=work.now
        ), []
    if statement.event in CREATES:
        is_former = spoken_of is not None and spoken_of["merged_into"] is not None
        whom = about(work, spoken_of, statement.event_at) if spoken_of is not None and is_former else row
        update_patient(work, whom, statement.patient, rank, statement.event_at)
    return PatientRow(row["id"]), arrivals_of(row)


def _rank(statement: OrderedProcedure, policy: Policy) -> Rank:
    if policy.patient_data == "newest":
        return Rank.REGISTRATION
    return Rank.ORDER if statement.event is StepEvent.NEW else Rank.ORDER_CHANGE


def _meet_early(
    work: SchedulingWork, row: OrderRow, order: Order, statement: OrderedProcedure, arrivals: Sequence[Arrival]
) -> None:
    """A study that came before its order is settled again, now with the order; a performed step is linked to it."""
    waiting = early.of_order(
        work.connection,
        study_uid=StudyInstanceUID(statement.procedure.get("StudyInstanceUID") or ""),
        accession_number=order.accession_number,
    )
    for uid in waiting.studies:
        settling.changed(work.connection, uid, now=work.now)
    if waiting.performed_steps and work.policy.late_links is not None:

        def history(connection: Connection, order: Order) -> list[Said]:
            return [*arrivals, *work.history(connection, order), statement]

        work.policy.late_links(work.connection, row, waiting.performed_steps, history, now=work.now)
