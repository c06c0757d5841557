"""ADT: patients registered, moved, corrected, merged (HL7 2.5.1 ch. 3; IHE RAD-1, RAD-12, ITI-30)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.errors import Conflict, Place
from gateway.journey.scheduling.applied import SchedulingWork
from gateway.journey.scheduling.arrivals import arrivals_of, latest
from gateway.journey.scheduling.patient_merging import change_id, merge
from gateway.journey.scheduling.patient_words import registered
from gateway.records.imaging_order import Arrival
from gateway.records.order_book import arrived
from gateway.records.order_history import rebuilt_order
from gateway.records.patient import VISIT, PatientEvent, PatientStatement
from gateway.records.row_ids import PatientRow
from gateway.records.step import FROZEN, StepState
from gateway.store import order_book as book
from gateway.store import patients

CLOSED: Final = FROZEN | {StepState.CANCELED}


def apply(work: SchedulingWork, statement: PatientStatement) -> None:
    """Apply one PID group and note in `work.applied` what came of it. Raises `DuplicateKey` and `Conflict`."""
    patients.hold(work.connection, statement.identity, *statement.prior)
    _EVENTS[statement.event](work, statement)


def _update(work: SchedulingWork, statement: PatientStatement) -> None:
    patient, is_new = _told(work, statement)
    work.applied.patients[patient] = "created" if is_new else "updated"


def _leave_visit(work: SchedulingWork, statement: PatientStatement) -> None:
    gone: dict[str, None] = dict.fromkeys(VISIT)
    if patients.find(work.connection, statement.identity) is None:
        work.applied.note(Place("PID", 3), "no such patient is known; nothing to change")
        return
    patient, _ = _told(work, replace(statement, attributes={**statement.attributes, **gone}))
    work.applied.patients[patient] = "updated"


def _arrive(work: SchedulingWork, statement: PatientStatement) -> None:
    patient, is_new = _told(work, statement)
    work.applied.patients[patient] = "created" if is_new else "updated"
    arrival = Arrival(statement.event_at, statement.day)
    held = patients.get(work.connection, patient)
    assert held is not None
    # Kept for orders that are still to come, or to be applied anew.
    arrivals = latest([*held["arrivals"], [arrival.event_at, arrival.day]])
    patients.change(work.connection, patient, arrivals=arrivals)
    for row in patients.orders_of(work.connection, patient):
        order = book.get(work.connection, row)
        if arrival.event_at < max(order.event_at, order.performed_at):
            after = (
                rebuilt_order(
                    order, [*work.history(work.connection, order), *arrivals_of({**held, "arrivals": arrivals})]
                )
                or order
            )
        else:
            after = arrived(order, arrival)
        if after.procedures != order.procedures:
            book.save(work.connection, order, after, now=work.now)
            work.applied.orders.append((row, "arrived"))


def _delete(work: SchedulingWork, statement: PatientStatement) -> None:
    named = patients.find(work.connection, statement.identity)
    if named is None:
        work.applied.note(Place("PID", 3), "no such patient is known; nothing to delete")
        return
    row = patients.hold_survivor(work.connection, named)
    if any(at > statement.event_at for _, at in row["stamps"].values()):
        work.applied.note(Place("EVN", 2), "newer things are known of the patient; not deleted")
        return
    for order in patients.orders_of(work.connection, row["id"]):
        steps = [step for procedure in book.get(work.connection, order).procedures for step in procedure.steps]
        if any(step.state not in CLOSED for step in steps):
            raise Conflict("the patient still has steps to be done; cancel their orders first", place=Place("PID", 3))
    identity = {key: row["attributes"][key] for key in ("PatientID", "IssuerOfPatientID") if key in row["attributes"]}
    patients.change(work.connection, row["id"], attributes=identity, stamps={}, own=None, updated_at=work.now)
    work.applied.patients[row["id"]] = "deleted"


def _told(work: SchedulingWork, statement: PatientStatement) -> tuple[PatientRow, bool]:
    """The patient with what the message states of them, and whether they are new."""
    row, is_new = registered(work, statement)
    return PatientRow(patients.hold_survivor(work.connection, row)["id"]), is_new


_EVENTS: Final[dict[PatientEvent, Callable[[SchedulingWork, PatientStatement], None]]] = {
    PatientEvent.UPDATE: _update,
    PatientEvent.ARRIVE: _arrive,
    PatientEvent.LEAVE_VISIT: _leave_visit,
    PatientEvent.DELETE: _delete,
    PatientEvent.MERGE: merge,
    PatientEvent.CHANGE_ID: change_id,
}
