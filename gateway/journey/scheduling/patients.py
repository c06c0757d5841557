"""ADT: patients registered, moved, corrected, merged (HL7 2.5.1 ch. 3; IHE RAD-1, RAD-12, ITI-30)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from gateway.errors import Conflict, DuplicateKey
from gateway.journey.scheduling.applied import Applied, History
from gateway.records.order_book import Arrival, adopted, arrived, replayed
from gateway.records.patient import (
    VISIT,
    Identity,
    PatientEvent,
    PatientStatement,
    Rank,
    first_heard,
    heard,
    inherited,
)
from gateway.records.step import FROZEN, StepState
from gateway.store import order_book as book
from gateway.store import patients
from gateway.store.statement import Row

CLOSED: Final = FROZEN | {StepState.CANCELED}
KEPT_ARRIVALS: Final = 20


def apply(connection: Connection, said: PatientStatement, applied: Applied, *, now: int, history: History) -> None:
    """Apply one PID group and note in `applied` what came of it. Raises `DuplicateKey` and `Conflict`."""
    patients.hold(connection, said.identity, *said.prior)
    if said.event is PatientEvent.ARRIVE:
        _arrive(connection, said, applied, now, history)
    else:
        _EVENTS[said.event](connection, said, applied, now)


def _update(connection: Connection, said: PatientStatement, applied: Applied, now: int) -> None:
    patient, is_new = _told(connection, said, now)
    applied.patients[patient] = "created" if is_new else "updated"


def _leave_visit(connection: Connection, said: PatientStatement, applied: Applied, now: int) -> None:
    gone: dict[str, None] = dict.fromkeys(VISIT)
    if patients.find(connection, said.identity) is None:
        applied.note("PID-3", "no such patient is known; nothing to change")
        return
    patient, _ = _told(connection, replace(said, attributes={**said.attributes, **gone}), now)
    applied.patients[patient] = "updated"


def _arrive(connection: Connection, said: PatientStatement, applied: Applied, now: int, history: History) -> None:
    patient, is_new = _told(connection, said, now)
    applied.patients[patient] = "created" if is_new else "updated"
    arrival = Arrival(said.event_at, said.day)
    held = patients.get(connection, patient)
    assert held is not None
    # Kept for orders that are still to come, or to be applied anew.
    arrivals = sorted([*held["arrivals"], [arrival.event_at, arrival.day]])[-KEPT_ARRIVALS:]
    patients.change(connection, patient, arrivals=arrivals)
    for row in patients.orders_of(connection, patient):
        order = book.get(connection, row)
        if arrival.event_at < order.event_at:
            rebuilt = replayed([*history(connection, order), *(Arrival(at, day) for at, day in arrivals)])
            after = order if rebuilt is None else adopted(rebuilt, order)
        else:
            after = arrived(order, arrival)
        if after.procedures != order.procedures:
            book.save(connection, order, after, now=now)
            applied.orders.append((row, "arrived"))


def _delete(connection: Connection, said: PatientStatement, applied: Applied, now: int) -> None:
    row = _known(connection, said.identity)
    if row is None:
        applied.note("PID-3", "no such patient is known; nothing to delete")
        return
    if any(at > said.event_at for _, at in row["said"].values()):
        applied.note("EVN-2", "newer things are known of the patient; not deleted")
        return
    for order in patients.orders_of(connection, row["id"]):
        steps = [step for procedure in book.get(connection, order).procedures for step in procedure.steps]
        if any(step.state not in CLOSED for step in steps):
            raise Conflict("the patient still has steps to be done; cancel their orders first", place="PID-3")
    identity = {key: row["attributes"][key] for key in ("PatientID", "IssuerOfPatientID") if key in row["attributes"]}
    patients.change(connection, row["id"], attributes=identity, said={}, updated_at=now)
    applied.patients[row["id"]] = "deleted"


def _merge(connection: Connection, said: PatientStatement, applied: Applied, now: int) -> None:
    """MRG ends in PID: its orders become the survivor's, and whoever still uses the old id means the survivor."""
    whole = patients.find(connection, said.identity)
    if whole is not None and whole["merged_into"] is not None:
        raise DuplicateKey("this patient was merged into another; it cannot survive a merge", place="PID-3")
    survivor, _ = _told(connection, said, now)
    for prior in said.prior:
        if prior == said.identity:
            raise DuplicateKey("the patient cannot be merged with itself: MRG-1 and PID-3 are the same", place="MRG-1")
        _absorb(connection, survivor, prior, applied, now)
    applied.patients[survivor] = "merged"


def _absorb(connection: Connection, survivor: int, prior: Identity, applied: Applied, now: int) -> None:
    source = patients.find(connection, prior)
    if source is None:
        # A late order on the old id lands on the survivor.
        patients.add(connection, prior, attributes=_named(prior), said={}, now=now, merged_into=survivor)
    elif source["merged_into"] is not None:
        if patients.survivor(connection, source)["id"] != survivor:
            raise DuplicateKey("the prior patient was merged into another before", place="MRG-1")
        return
    else:
        for row in patients.move_orders(connection, source["id"], survivor):
            applied.orders.append((row, "moved"))
        patients.change(connection, source["id"], merged_into=survivor, updated_at=now)
    into = patients.get(connection, survivor, to_change=True)
    assert into is not None
    attributes, stamps, former = into["attributes"], into["said"], into["former"]
    if source is not None:
        attributes, stamps = inherited(attributes, stamps, source["attributes"], source["said"])
        former = [*former, *source["former"]]
        arrivals = sorted([*into["arrivals"], *source["arrivals"]])[-KEPT_ARRIVALS:]
        patients.change(connection, survivor, arrivals=arrivals)
    former = [*former, [prior.patient_id, prior.issuer]]
    patients.change(connection, survivor, attributes=attributes, said=stamps, former=former, updated_at=now)


def _change_id(connection: Connection, said: PatientStatement, applied: Applied, now: int) -> None:
    """MRG-1 is from now on called PID-3."""
    [old, *_] = said.prior
    if old == said.identity:
        raise DuplicateKey("the new Patient ID is the old one: MRG-1 and PID-3 are the same", place="MRG-1")
    source, target = patients.find(connection, old), patients.find(connection, said.identity)
    if target is not None:
        done = source is not None and patients.survivor(connection, source)["id"] == target["id"]
        if not done:
            raise DuplicateKey("the new Patient ID belongs to another patient; merge them (A40)", place="PID-3")
    elif source is not None:
        row = patients.survivor(connection, source)
        renamed = {**row["attributes"], **_named(said.identity)}
        renamed.pop("IssuerOfPatientIDQualifiersSequence", None)
        patients.change(
            connection,
            row["id"],
            patient_id=said.identity.patient_id,
            issuer=said.identity.issuer,
            attributes=renamed,
            former=[*row["former"], [old.patient_id, old.issuer]],
            updated_at=now,
        )
        if row["id"] == source["id"]:
            patients.add(connection, old, attributes=_named(old), said={}, now=now, merged_into=row["id"])
    patient, _ = _told(connection, said, now)
    if source is None:
        patients.add(connection, old, attributes=_named(old), said={}, now=now, merged_into=patient)
    applied.patients[patient] = "renamed"


def _known(connection: Connection, identity: Identity) -> Row | None:
    found = patients.find(connection, identity)
    return None if found is None else patients.survivor(connection, found)


def _told(connection: Connection, said: PatientStatement, now: int) -> tuple[int, bool]:
    """The patient with what the message says of them, and whether they are new."""
    known = _known(connection, said.identity)
    if known is None:
        attributes, stamps = first_heard(said.attributes, Rank.REGISTRATION, said.event_at)
        return patients.add(connection, said.identity, attributes=attributes, said=stamps, now=now), True
    row = patients.get(connection, known["id"], to_change=True)
    assert row is not None
    attributes, stamps = heard(row["attributes"], row["said"], said.attributes, Rank.REGISTRATION, said.event_at)
    patients.change(connection, row["id"], attributes=attributes, said=stamps, updated_at=now)
    return int(row["id"]), False


def _named(identity: Identity) -> dict[str, str]:
    issuer = {"IssuerOfPatientID": identity.issuer} if identity.issuer else {}
    return {"PatientID": identity.patient_id, **issuer}


_EVENTS: Final[dict[PatientEvent, Callable[[Connection, PatientStatement, Applied, int], None]]] = {
    PatientEvent.UPDATE: _update,
    PatientEvent.LEAVE_VISIT: _leave_visit,
    PatientEvent.DELETE: _delete,
    PatientEvent.MERGE: _merge,
    PatientEvent.CHANGE_ID: _change_id,
}
