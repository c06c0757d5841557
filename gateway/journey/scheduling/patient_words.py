"""What is known of a patient, kept with each statement: under the identity that the statement names."""

from __future__ import annotations

from typing import Any

from gateway.journey.scheduling.applied import SchedulingWork
from gateway.journey.scheduling.held_studies import look_again
from gateway.records.order import Attributes
from gateway.records.patient import PatientStatement, Rank, Stamps, first_values, values_after
from gateway.records.patient_merge import Absorbed, composed
from gateway.records.row_ids import PatientRow
from gateway.store import patients
from gateway.store.statement import Row


def registered(work: SchedulingWork, statement: PatientStatement) -> tuple[Row, bool]:
    """The row of the identity that ADT names, with what the message states of it; and whether it is new."""
    row = patients.find(work.connection, statement.identity)
    if row is not None:
        spoken_of = about(work, row, statement.event_at)
        update_patient(work, spoken_of, statement.attributes, Rank.REGISTRATION, statement.event_at)
        return row, False
    attributes, stamps = first_values(statement.attributes, Rank.REGISTRATION, statement.event_at)
    added = patients.add(
        work.connection, statement.identity, attributes=attributes, stamps=stamps, first_at=statement.event_at,
        now=work.now,
    )  # fmt: skip
    made = patients.get(work.connection, added)
    assert made is not None
    return made, True


def about(work: SchedulingWork, row: Row, at: int) -> Row:
    """Of whom a statement of this time is that names an identity: who it meant then, however it went on afterwards."""
    return patients.survivor(work.connection, row, at)


def update_patient(work: SchedulingWork, row: Row, statement: Attributes, rank: Rank, at: int) -> None:
    """Add to what is known of a patient; the row is held only when something changes."""
    before = _own(row)
    if values_after(*before, statement, rank, at) == before and at >= row["first_at"]:
        return
    held = patients.get(work.connection, row["id"], to_change=True)
    assert held is not None
    attributes, stamps = values_after(*_own(held), statement, rank, at)
    values: dict[str, Any] = {"first_at": min(at, held["first_at"]), "updated_at": work.now}
    is_plain = held["own"] is None
    values |= {"attributes": attributes, "stamps": stamps} if is_plain else {"own": _as_own(attributes, stamps)}
    patients.change(work.connection, held["id"], **values)
    if not is_plain:
        recompose(work, held["id"])
    elif held["merged_into"] is not None:
        recompose(work, held["merged_into"])
    else:
        look_again(work, held["id"])


def recompose(work: SchedulingWork, patient: PatientRow) -> None:
    """Bring a survivor to what is known under all identities that lead to it, and so the survivors behind it."""
    held = patients.get(work.connection, patient, to_change=True)
    if held is None:
        # Its age has removed it, and not yet an identity that led to it.
        return
    others = [
        Absorbed(row["attributes"], row["stamps"], row["merged_at"])
        for row in patients.absorbed_by(work.connection, patient)
    ]
    own = _own(held)
    attributes, stamps = composed(*own, others)
    patients.change(
        work.connection, patient, own=_as_own(*own), attributes=attributes, stamps=stamps, updated_at=work.now
    )
    if held["merged_into"] is not None:
        recompose(work, held["merged_into"])
    else:
        look_again(work, patient)


def _own(row: Row) -> tuple[Attributes, Stamps]:
    words = row["own"] or row
    return words["attributes"], words["stamps"]


def _as_own(attributes: Attributes, stamps: Stamps) -> dict[str, Any]:
    return {"attributes": attributes, "stamps": stamps}
