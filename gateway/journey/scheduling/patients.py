"""ADT: patients registered, moved, corrected, merged (HL7 2.5.1 ch. 3; IHE RAD-1, RAD-12, ITI-30)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.errors import Conflict, DuplicateKey, Place
from gateway.journey.scheduling.applied import SchedulingWork
from gateway.records.imaging_order import Arrival
from gateway.records.order import Attributes
from gateway.records.order_book import arrived
from gateway.records.order_history import rebuilt_order
from gateway.records.patient import (
    VISIT,
    Identity,
    PatientEvent,
    PatientStatement,
    Rank,
    first_values,
    inherited,
    values_after,
)
from gateway.records.row_ids import PatientRow
from gateway.records.step import FROZEN, StepState
from gateway.store import order_book as book
from gateway.store import outbox, patients, studies
from gateway.store.statement import Row

CLOSED: Final = FROZEN | {StepState.CANCELED}
KEPT_ARRIVALS: Final = 20


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
    arrivals = _latest([*held["arrivals"], [arrival.event_at, arrival.day]])
    patients.change(work.connection, patient, arrivals=arrivals)
    for row in patients.orders_of(work.connection, patient):
        order = book.get(work.connection, row)
        if arrival.event_at < max(order.event_at, order.performed_at):
            after = rebuilt_order(order, [*work.history(work.connection, order), *_as_arrivals(arrivals)]) or order
        else:
            after = arrived(order, arrival)
        if after.procedures != order.procedures:
            book.save(work.connection, order, after, now=work.now)
            work.applied.orders.append((row, "arrived"))


def _latest(arrivals: list[list[Any]]) -> list[list[Any]]:
    return sorted(arrivals)[-KEPT_ARRIVALS:]


def _as_arrivals(kept: list[list[Any]]) -> list[Arrival]:
    return [Arrival(at, day) for at, day in kept]


def arrivals_of(row: Row) -> list[Arrival]:
    """When a patient last arrived, the latest at the end."""
    return _as_arrivals(row["arrivals"])


def _delete(work: SchedulingWork, statement: PatientStatement) -> None:
    row = patients.meant(work.connection, statement.identity)
    if row is None:
        work.applied.note(Place("PID", 3), "no such patient is known; nothing to delete")
        return
    if any(at > statement.event_at for _, at in row["said"].values()):
        work.applied.note(Place("EVN", 2), "newer things are known of the patient; not deleted")
        return
    for order in patients.orders_of(work.connection, row["id"]):
        steps = [step for procedure in book.get(work.connection, order).procedures for step in procedure.steps]
        if any(step.state not in CLOSED for step in steps):
            raise Conflict("the patient still has steps to be done; cancel their orders first", place=Place("PID", 3))
    identity = {key: row["attributes"][key] for key in ("PatientID", "IssuerOfPatientID") if key in row["attributes"]}
    patients.change(work.connection, row["id"], attributes=identity, said={}, updated_at=work.now)
    work.applied.patients[row["id"]] = "deleted"


def _merge(work: SchedulingWork, statement: PatientStatement) -> None:
    """MRG ends in PID: its orders become the survivor's, and the old id stands for the survivor from now on."""
    whole = patients.find(work.connection, statement.identity)
    if whole is not None and whole["merged_into"] is not None:
        raise DuplicateKey("this patient was merged into another; it cannot survive a merge", place=Place("PID", 3))
    survivor, _ = _told(work, statement)
    for prior in statement.prior:
        if prior == statement.identity:
            raise DuplicateKey(
                "the patient cannot be merged with itself: MRG-1 and PID-3 are the same", place=Place("MRG", 1)
            )
        _absorb(work, survivor, prior)
    work.applied.patients[survivor] = "merged"


def _absorb(work: SchedulingWork, survivor: PatientRow, prior: Identity) -> None:
    source = patients.find(work.connection, prior)
    if source is None:
        # A late order on the old id lands on the survivor.
        patients.add(work.connection, prior, attributes=_named(prior), stamps={}, now=work.now, merged_into=survivor)
    elif source["merged_into"] is not None:
        if patients.survivor(work.connection, source)["id"] != survivor:
            raise DuplicateKey("the prior patient was merged into another before", place=Place("MRG", 1))
        return
    else:
        for row in patients.move_orders(work.connection, source["id"], survivor):
            work.applied.orders.append((row, "moved"))
        patients.change(work.connection, source["id"], merged_into=survivor, updated_at=work.now)
    _inherit(work, survivor, source, prior)
    ended = [prior, *(Identity(*one) for one in (source["former"] if source is not None else ()))]
    _tell_studies_again(work, ended)


def _inherit(work: SchedulingWork, survivor: PatientRow, source: Row | None, prior: Identity) -> None:
    """Give the survivor what the prior patient had: attributes, former identities, arrivals."""
    into = patients.get(work.connection, survivor, to_change=True)
    assert into is not None
    attributes, stamps, former, arrivals = (into[key] for key in ("attributes", "said", "former", "arrivals"))
    if source is not None:
        attributes, stamps = inherited(attributes, stamps, source["attributes"], source["said"])
        former = [*former, *source["former"]]
        arrivals = _latest([*arrivals, *source["arrivals"]])
    patients.change(
        work.connection,
        survivor,
        attributes=attributes,
        said=stamps,
        former=[*former, [prior.patient_id, prior.issuer]],
        arrivals=arrivals,
        updated_at=work.now,
    )


def _tell_studies_again(work: SchedulingWork, ended: Sequence[Identity]) -> None:
    """Studies under identities that have ended go to each EHR again, now under the patient whom they mean."""
    for identity in ended:
        for uid in studies.of_patient(work.connection, identity):
            studies.touch(work.connection, uid)
            outbox.settle_soon(work.connection, uid, now=work.now)


def _change_id(work: SchedulingWork, statement: PatientStatement) -> None:
    """MRG-1 is from now on called PID-3."""
    [old, *_] = statement.prior
    if old == statement.identity:
        raise DuplicateKey("the new Patient ID is the old one: MRG-1 and PID-3 are the same", place=Place("MRG", 1))
    source, target = patients.find(work.connection, old), patients.find(work.connection, statement.identity)
    if target is not None:
        done = source is not None and patients.survivor(work.connection, source)["id"] == target["id"]
        if not done:
            raise DuplicateKey("the new Patient ID belongs to another patient; merge them (A40)", place=Place("PID", 3))
    elif source is not None:
        row = patients.survivor(work.connection, source)
        renamed = {**row["attributes"], **_named(statement.identity)}
        renamed.pop("IssuerOfPatientIDQualifiersSequence", None)
        patients.change(
            work.connection,
            row["id"],
            patient_id=statement.identity.patient_id,
            issuer=statement.identity.issuer,
            attributes=renamed,
            former=[*row["former"], [old.patient_id, old.issuer]],
            updated_at=work.now,
        )
        if row["id"] == source["id"]:
            patients.add(work.connection, old, attributes=_named(old), stamps={}, now=work.now, merged_into=row["id"])
    patient, _ = _told(work, statement)
    if source is None:
        patients.add(work.connection, old, attributes=_named(old), stamps={}, now=work.now, merged_into=patient)
    held = patients.get(work.connection, patient)
    _tell_studies_again(work, [old, *(Identity(*one) for one in (held["former"] if held is not None else ()))])
    work.applied.patients[patient] = "renamed"


def _told(work: SchedulingWork, statement: PatientStatement) -> tuple[PatientRow, bool]:
    """The patient with what the message says of them, and whether they are new."""
    known = patients.meant(work.connection, statement.identity)
    if known is None:
        attributes, stamps = first_values(statement.attributes, Rank.REGISTRATION, statement.event_at)
        return patients.add(
            work.connection, statement.identity, attributes=attributes, stamps=stamps, now=work.now
        ), True
    update_patient(work, known, statement.attributes, Rank.REGISTRATION, statement.event_at)
    return PatientRow(known["id"]), False


def update_patient(work: SchedulingWork, row: Row, statement: Attributes, rank: Rank, at: int) -> None:
    """Add to what is known of a patient; the row is held only when something changes."""
    if values_after(row["attributes"], row["said"], statement, rank, at) == (row["attributes"], row["said"]):
        return
    held = patients.get(work.connection, row["id"], to_change=True)
    assert held is not None
    attributes, stamps = values_after(held["attributes"], held["said"], statement, rank, at)
    patients.change(work.connection, row["id"], attributes=attributes, said=stamps, updated_at=work.now)


def _named(identity: Identity) -> dict[str, str]:
    issuer = {"IssuerOfPatientID": identity.issuer} if identity.issuer else {}
    return {"PatientID": identity.patient_id, **issuer}


_EVENTS: Final[dict[PatientEvent, Callable[[SchedulingWork, PatientStatement], None]]] = {
    PatientEvent.UPDATE: _update,
    PatientEvent.ARRIVE: _arrive,
    PatientEvent.LEAVE_VISIT: _leave_visit,
    PatientEvent.DELETE: _delete,
    PatientEvent.MERGE: _merge,
    PatientEvent.CHANGE_ID: _change_id,
}
