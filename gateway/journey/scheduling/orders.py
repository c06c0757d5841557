"""Orders, results and appointments: finding the order that is meant, and bringing it to what its messages say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from gateway.errors import DuplicateKey, Place, UnknownCode, UnknownKey
from gateway.journey.scheduling.applied import Policy, Work
from gateway.journey.scheduling.patients import arrivals_of, hear
from gateway.records import order_book, order_matching
from gateway.records.imaging_order import Arrival, Order, Said
from gateway.records.order import OrderedProcedure
from gateway.records.order_book import ENDS
from gateway.records.patient import IDENTITY, Identity, Rank, first_heard, identity_of
from gateway.records.step import CREATES, StepEvent
from gateway.store import order_book as book
from gateway.store import outbox, patients, studies
from gateway.store.statement import Row

MEANINGLESS: Final = frozenset({StepEvent.RESPONSE})
"""Events that change nothing, whatever they speak of."""
UNORDERED: Final = {
    "tombstone": "no such order is known yet; should an older one come, it is cancelled",
    "waiting": "nothing that this speaks of was ordered yet; it is applied when the order comes",
}


def apply(work: Work, said: OrderedProcedure) -> None:
    """Apply one order group and note in `work.applied` what came of it."""
    if said.event is None and not work.policy.ignore_unknown_control:
        raise UnknownCode(f"order control {said.control!r} is not one that the worklist knows", place=said.place.at(1))
    if said.event is None or said.event in MEANINGLESS:
        work.applied.orders.append((None, "ignored"))
        return
    who = identity_of(said.patient)
    patients.hold(work.connection, who)
    order = find(work.connection, said)
    if order is None and not _begins(said, work.policy):
        work.applied.orders.append((None, "ignored"))
        return
    patient, arrivals = _patient(work, said, who, order)
    _apply_to(work, said, order, patient, arrivals)
    if said.event not in CREATES and said.placer is not None:
        for child in book.children(work.connection, parent=said.placer.value, sender=said.sender):
            _apply_to(work, order_matching.of_child(said), child, child.patient, arrivals)
    if said.control == "RO" and said.parent is not None:
        _end_replaced(work, said, patient, arrivals)


def _begins(said: OrderedProcedure, policy: Policy) -> bool:
    """Whether a message of an unknown order is kept for it. Raises `UnknownKey` where a site wants to be told."""
    if said.event in CREATES:
        return True
    if said.event is StepEvent.STATUS or not said.control:
        # A report or appointment of something that was never ordered here is nothing to wait for.
        return False
    if said.event in ENDS:
        return True
    if policy.unknown_order == "reject":
        raise UnknownKey(f"no order with this number is known; {said.event} needs one", place=said.place.at(2))
    return True


def find(connection: Connection, said: OrderedProcedure) -> Order | None:
    """The order that the message means, by the numbers they share.

    Raises `DuplicateKey` when its Study Instance UID is another order's.
    """
    found = book.find(
        connection,
        study_uid=str(said.procedure.get("StudyInstanceUID") or ""),
        filler=said.filler.value if said.filler else "",
        placer=said.placer.value if said.placer else "",
        accession="" if "AccessionNumber" in said.derived else str(said.order.get("AccessionNumber") or ""),
        authority=said.authority,
    )
    for rank, order in found:
        meant = order_matching.means(said, order, ranked=rank)
        if meant is None:
            raise DuplicateKey("the Study Instance UID belongs to another order", place=said.place.at(2))
        sure = not order_matching.is_guess(said, order, ranked=rank)
        if meant and (sure or _of_one_patient(connection, said, order)):
            return order
    return None


def _of_one_patient(connection: Connection, said: OrderedProcedure, order: Order) -> bool:
    row = None if order.patient is None else patients.get(connection, order.patient)
    return row is not None and identity_of(said.patient).patient_id in _ids_of(row)


def _apply_to(
    work: Work, said: OrderedProcedure, order: Order | None, patient: int | None, arrivals: Sequence[Arrival]
) -> None:
    known = order is not None and bool(order.procedures)
    if work.again or _is_older(said, order, arrivals):
        history = work.history(work.connection, order) if order else ()
        after, outcome = _in_its_place(said, order, [*arrivals, *history])
    else:
        after, outcome = order_book.applied(order, said, patient)
    if outcome == "updated" and not known and after.procedures:
        outcome = "created"
    if after.patient != patient:
        after = replace(after, patient=patient)
    row = book.save(work.connection, order, after, now=work.now)
    work.applied.orders.append((row, outcome))
    if outcome in UNORDERED:
        work.applied.note(said.place.at(1), UNORDERED[outcome])
    if said.event in CREATES:
        _resettle(work, after, said)


def _is_older(said: OrderedProcedure, order: Order | None, arrivals: Sequence[Arrival]) -> bool:
    """Whether the message belongs before something that has been applied. Of one time, an order belongs before what
    is done to it."""
    if arrivals and said.event_at <= arrivals[-1].event_at:
        return True
    if order is None:
        return False
    return said.event_at < order.event_at or (said.event_at == order.moved_at and said.event in CREATES)


def _in_its_place(said: OrderedProcedure, order: Order | None, history: Sequence[Said]) -> tuple[Order, str]:
    """The order as it would be had its messages come in the order of their times."""
    messages = [*history, said]
    after = order_book.replayed(messages) if order is None else order_book.in_its_place(order, messages)
    if after is None:
        # Its state forbids the message; the sender is to hear why.
        return order_book.applied(order, said)
    if order is None:
        return after, order_book.outcome_of(after, said)
    return after, "stale" if replace(after, event_at=order.event_at) == order else "updated"


def _end_replaced(work: Work, said: OrderedProcedure, patient: int | None, arrivals: Sequence[Arrival]) -> None:
    """End what a replacement order takes the place of, unless the message ends it itself (RP)."""
    end = order_matching.replacement(said)
    replaced = find(work.connection, end)
    if replaced is None or replaced.row in (row for row, _ in work.applied.orders):
        return
    if replaced.patient != patient:
        raise UnknownKey("the order to be replaced belongs to another patient", place=said.place.at(8))
    _apply_to(work, end, replaced, patient, arrivals)


# The patient of an order


def _patient(work: Work, said: OrderedProcedure, who: Identity, order: Order | None) -> tuple[int, Sequence[Arrival]]:
    """The row of the patient whom the message means, made if there is none, and when they last arrived.

    Raises `UnknownKey` when the order is another patient's.
    """
    row = patients.meant(work.connection, who)
    if order is not None and order.patient is not None and (row is None or row["id"] != order.patient):
        row = patients.get(work.connection, order.patient)
        assert row is not None
        # An issuer that the message does not state is a guess of ours, and no reason to refuse.
        if "IssuerOfPatientID" not in said.derived or who.patient_id not in _ids_of(row):
            raise UnknownKey("the order with this number belongs to another patient", place=Place("PID", 3))
    rank = _rank(said, work.policy)
    if row is None:
        if said.event in CREATES:
            attributes, stamps = first_heard(said.patient, rank, said.event_at)
        else:
            # Who only speaks of an order is not listened to about its patient, whichever comes first.
            attributes, stamps = {key: value for key, value in said.patient.items() if key in IDENTITY}, {}
        return patients.add(work.connection, who, attributes=attributes, said=stamps, now=work.now), []
    if said.event in CREATES:
        hear(work, row, said.patient, rank, said.event_at)
    return int(row["id"]), arrivals_of(row)


def _ids_of(row: Row) -> set[str]:
    return {row["patient_id"], *(patient_id for patient_id, _ in row["former"])}


def _rank(said: OrderedProcedure, policy: Policy) -> Rank:
    if policy.patient_data == "newest":
        return Rank.REGISTRATION
    return Rank.ORDER if said.event is StepEvent.NEW else Rank.ORDER_CHANGE


def _resettle(work: Work, order: Order, said: OrderedProcedure) -> None:
    """A study that came before its order is told again, now with the order."""
    waiting = studies.answering(
        work.connection,
        study_uid=str(said.procedure.get("StudyInstanceUID") or ""),
        accession=order.accession,
        patient_id=identity_of(said.patient).patient_id,
    )
    for uid in waiting:
        studies.touch(work.connection, uid)
        outbox.settle_soon(work.connection, uid, now=work.now)
