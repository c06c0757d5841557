"""Orders, results and appointments: finding the order that is meant, and bringing it to what its messages say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from gateway.errors import DuplicateKey, Place, RequiredMissing, UnknownCode, UnknownKey
from gateway.journey.scheduling.applied import Policy, SchedulingWork
from gateway.journey.scheduling.patients import arrivals_of, update_patient
from gateway.records import order_book, order_history, order_matching
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.imaging_order import Arrival, Order, Said
from gateway.records.order import NOT_IMAGING, OrderedProcedure
from gateway.records.order_book import ENDS
from gateway.records.patient import IDENTITY, Identity, Rank, first_values, identity_of
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.records.step import CREATES, StepEvent
from gateway.store import early, outbox, patients, studies
from gateway.store import order_book as book
from gateway.store.statement import Row

MEANINGLESS: Final = frozenset({StepEvent.RESPONSE})
"""Events that change nothing, whatever they speak of."""
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
    order = find(work.connection, statement)
    if order is None and not _begins(statement, work.policy):
        work.applied.orders.append((None, "ignored"))
        work.applied.note(statement.place.at(2), "no order with this number is known; the message changes nothing")
        return
    if lacking := _lacking(statement, order):
        if statement.not_imaging is None:
            raise lacking
        work.applied.orders.append((None, NOT_IMAGING))
        work.applied.note(statement.not_imaging.place, statement.not_imaging.text)
        return
    patient, arrivals = _patient(work, statement, who, order) if who is not None else _patient_of(work, order)
    _apply_to(work, statement, order, patient, arrivals)
    if statement.event not in CREATES and statement.placer is not None:
        for child in book.children(work.connection, parent=statement.placer.value, sender=statement.sender):
            _apply_to(work, order_matching.of_child(statement), child, child.patient, arrivals)
    if statement.control == "RO" and statement.parent is not None:
        _end_replaced(work, statement, patient, arrivals)


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
    if statement.event is StepEvent.STATUS or not statement.control:
        # A report or appointment of something that was never ordered here is nothing to wait for.
        return False
    if statement.event in ENDS:
        return True
    if policy.unknown_order == "reject":
        raise UnknownKey(
            f"no order with this number is known; {statement.event} needs one", place=statement.place.at(2)
        )
    return True


def find(connection: Connection, statement: OrderedProcedure) -> Order | None:
    """The order that the statement is about, by the numbers they share.

    Raises `DuplicateKey` when its Study Instance UID is another order's.
    """
    found = book.find(
        connection,
        study_uid=StudyInstanceUID(statement.procedure.get("StudyInstanceUID") or ""),
        filler=statement.filler.value if statement.filler else "",
        placer=statement.placer.value if statement.placer else "",
        accession_number=AccessionNumber(
            "" if "AccessionNumber" in statement.derived else statement.order.get("AccessionNumber") or ""
        ),
        authority=statement.authority,
    )
    for rank, order in found:
        meant = order_matching.concerns(statement, order, ranked=rank)
        if meant is None:
            raise DuplicateKey("the Study Instance UID belongs to another order", place=statement.place.at(2))
        sure = not order_matching.is_ambiguous(statement, order, ranked=rank)
        if meant and (sure or _of_one_patient(connection, statement, order)):
            return order
    return None


def _of_one_patient(connection: Connection, statement: OrderedProcedure, order: Order) -> bool:
    row = None if order.patient is None else patients.get(connection, order.patient)
    return row is not None and statement.patient.get("PatientID") in _ids_of(row)


def _apply_to(
    work: SchedulingWork,
    statement: OrderedProcedure,
    order: Order | None,
    patient: PatientRow | None,
    arrivals: Sequence[Arrival],
) -> None:
    known = order is not None and bool(order.procedures)
    if work.again or _is_older(statement, order, arrivals):
        history = work.history(work.connection, order) if order else ()
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


def _end_replaced(
    work: SchedulingWork, statement: OrderedProcedure, patient: PatientRow | None, arrivals: Sequence[Arrival]
) -> None:
    """End what a replacement order takes the place of, unless the message ends it itself (RP)."""
    end = order_matching.replacement(statement)
    replaced = find(work.connection, end)
    if replaced is None or replaced.row in (row for row, _ in work.applied.orders):
        return
    if replaced.patient != patient:
        raise UnknownKey("the order to be replaced belongs to another patient", place=statement.place.at(8))
    _apply_to(work, end, replaced, patient, arrivals)


# The patient of an order


def _patient(
    work: SchedulingWork, statement: OrderedProcedure, who: Identity, order: Order | None
) -> tuple[PatientRow, Sequence[Arrival]]:
    """The row of the message's patient, made if there is none, and the patient's last arrivals.

    Raises `UnknownKey` when the order is another patient's.
    """
    row = patients.meant(work.connection, who)
    if order is not None and order.patient is not None and (row is None or row["id"] != order.patient):
        row = patients.get(work.connection, order.patient)
        assert row is not None
        # An issuer that the message does not state is a guess of ours, and no reason to refuse.
        if "IssuerOfPatientID" not in statement.derived or who.patient_id not in _ids_of(row):
            raise UnknownKey("the order with this number belongs to another patient", place=Place("PID", 3))
    rank = _rank(statement, work.policy)
    if row is None:
        if statement.event in CREATES:
            attributes, stamps = first_values(statement.patient, rank, statement.event_at)
        else:
            # Who only speaks of an order is not listened to about its patient, whichever comes first.
            attributes, stamps = {key: value for key, value in statement.patient.items() if key in IDENTITY}, {}
        return patients.add(work.connection, who, attributes=attributes, stamps=stamps, now=work.now), []
    if statement.event in CREATES:
        update_patient(work, row, statement.patient, rank, statement.event_at)
    return PatientRow(row["id"]), arrivals_of(row)


def _ids_of(row: Row) -> set[str]:
    return {row["patient_id"], *(patient_id for patient_id, _ in row["former"])}


def _rank(statement: OrderedProcedure, policy: Policy) -> Rank:
    if policy.patient_data == "newest":
        return Rank.REGISTRATION
    return Rank.ORDER if statement.event is StepEvent.NEW else Rank.ORDER_CHANGE


def _meet_early(
    work: SchedulingWork, row: OrderRow, order: Order, statement: OrderedProcedure, arrivals: Sequence[Arrival]
) -> None:
    """A study that came before its order is settled again, now with the order; a performed step is linked to it."""
    patient_id = statement.patient.get("PatientID")
    if patient_id is None and order.patient is not None and (held := patients.get(work.connection, order.patient)):
        patient_id = held["patient_id"]
    waiting = early.of_order(
        work.connection,
        study_uid=StudyInstanceUID(statement.procedure.get("StudyInstanceUID") or ""),
        accession_number=order.accession_number,
        patient_id=patient_id or "",
    )
    for uid in waiting.studies:
        studies.touch(work.connection, uid)
        outbox.settle_soon(work.connection, uid, now=work.now)
    if waiting.performed_steps and work.policy.late_links is not None:

        def history(connection: Connection, order: Order) -> list[Said]:
            return [*arrivals, *work.history(connection, order), statement]

        work.policy.late_links(work.connection, row, waiting.performed_steps, history, now=work.now)
