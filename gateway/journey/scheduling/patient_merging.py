"""Merges (A40) and changes of Patient ID (A47): an identity ends, and stands for another from then on."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import DuplicateKey, Place
from gateway.journey.scheduling.applied import SchedulingWork
from gateway.journey.scheduling.arrivals import arrivals_of, latest
from gateway.journey.scheduling.order_joining import join_orders_of
from gateway.journey.scheduling.patient_words import recompose, registered
from gateway.records.patient import Identity, PatientStatement
from gateway.records.row_ids import PatientRow
from gateway.store import patients, settling, studies
from gateway.store.statement import Row


def merge(work: SchedulingWork, statement: PatientStatement) -> None:
    """MRG ends in PID: its orders become the survivor's, and the old id stands for the survivor from now on."""
    whole = patients.find(work.connection, statement.identity)
    if whole is not None and whole["merged_into"] is not None and whole["merged_at"] <= statement.event_at:
        raise DuplicateKey("this patient was merged into another; it cannot survive a merge", place=Place("PID", 3))
    into, _ = registered(work, statement)
    for prior in statement.prior:
        if prior == statement.identity:
            raise DuplicateKey(
                "the patient cannot be merged with itself: MRG-1 and PID-3 are the same", place=Place("MRG", 1)
            )
        source = patients.find(work.connection, prior)
        if source is not None and source["merged_into"] is not None and not _is_one(work, source, into):
            raise DuplicateKey("the prior patient was merged into another before", place=Place("MRG", 1))
        _absorb(work, into, source, prior, statement.event_at)
    work.applied.patients[patients.survivor(work.connection, into)["id"]] = "merged"


def change_id(work: SchedulingWork, statement: PatientStatement) -> None:
    """MRG-1 is from now on called PID-3."""
    [old, *_] = statement.prior
    if old == statement.identity:
        raise DuplicateKey("the new Patient ID is the old one: MRG-1 and PID-3 are the same", place=Place("MRG", 1))
    source, target = patients.find(work.connection, old), patients.find(work.connection, statement.identity)
    if source is not None:
        source = patients.hold_survivor(work.connection, source)
    if target is not None and not _is_one(work, source, target) and not _is_later(target, statement.event_at):
        raise DuplicateKey("the new Patient ID belongs to another patient; merge them (A40)", place=Place("PID", 3))
    into, _ = registered(work, statement)
    _absorb(work, into, source, old, statement.event_at)
    work.applied.patients[patients.survivor(work.connection, into)["id"]] = "renamed"


def _is_later(target: Row, at: int) -> bool:
    """Whether nothing is known under an identity that is older than a statement: it is the new id of that statement,
    used before the statement came."""
    had_ended = target["merged_into"] is not None and target["merged_at"] <= at
    return not had_ended and bool(target["first_at"] >= at)


def _is_one(work: SchedulingWork, one: Row | None, other: Row) -> bool:
    """Whether two identities lead to one patient."""
    ends = [patients.survivor(work.connection, row)["id"] for row in (one, other) if row is not None]
    return len(ends) == 2 and ends[0] == ends[1]


def _absorb(work: SchedulingWork, into: Row, source: Row | None, prior: Identity, at: int) -> None:
    """Let `source`, the row behind the identity `prior`, end in the row `into`, whose survivor gets its orders."""
    end = patients.hold_survivor(work.connection, into)["id"]
    if source is None:
        # A late order on the old id lands on the survivor.
        patients.add(
            work.connection, prior, attributes=named(prior), stamps={}, first_at=at, now=work.now,
            merged_into=into["id"],
        )  # fmt: skip
    elif _is_one(work, source, into):
        return
    else:
        for row in patients.move_orders(work.connection, source["id"], end):
            work.applied.orders.append((row, "moved"))
        patients.change(work.connection, source["id"], merged_into=into["id"], merged_at=at, updated_at=work.now)
    recompose(work, into["id"])
    _inherit(work, end, source, prior)


def _inherit(work: SchedulingWork, survivor: PatientRow, source: Row | None, prior: Identity) -> None:
    """Give the survivor the former identities and arrivals of the prior patient, and make their orders one's."""
    held = patients.get(work.connection, survivor, to_change=True)
    assert held is not None
    former = [*held["former"], [prior.patient_id, prior.issuer]]
    arrivals = held["arrivals"]
    if source is not None:
        former += [*source["former"], [source["patient_id"], source["issuer"]]]
        arrivals = latest([*arrivals, *source["arrivals"]])
    former = [list(one) for one in dict.fromkeys(map(tuple, former))]
    former = [one for one in former if one != [held["patient_id"], held["issuer"]]]
    patients.change(work.connection, survivor, former=former, arrivals=arrivals, updated_at=work.now)
    join_orders_of(work, survivor, arrivals_of({**held, "arrivals": arrivals}))
    _tell_studies_again(work, [Identity(*one) for one in former])


def _tell_studies_again(work: SchedulingWork, ended: Sequence[Identity]) -> None:
    """Studies under identities that have ended go to each EHR again, now under the patient whom they mean."""
    for identity in ended:
        for uid in studies.of_patient(work.connection, identity):
            settling.changed(work.connection, uid, now=work.now)


def named(identity: Identity) -> dict[str, str]:
    """An identity as the attributes of a patient of whom nothing else is known."""
    issuer = {"IssuerOfPatientID": identity.issuer} if identity.issuer else {}
    return {"PatientID": identity.patient_id, **issuer}
