"""Whose journey is read: that of an accession number, an order, a patient or a study, named by whatever number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations import studies_view
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.lookup import MatchedOn
from gateway.records.patient import Identity
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.store import lookup_rows, lookups, orders, patients, studies

MOST: Final = 50
"""Orders and studies of a patient that are read."""


NONE: Final = AccessionNumber("")


@dataclass(frozen=True, slots=True)
class JourneySubject:
    """What a journey is made of."""

    orders: tuple[OrderRow, ...] = ()
    accession: AccessionNumber = NONE
    """Studies and performed steps that state it belong to the journey too."""
    studies: tuple[StudyInstanceUID, ...] = ()
    """Beside those of the orders."""
    numbers: tuple[str, ...] = ()
    """By which messages are looked for that were not applied, beside the numbers of the orders."""


def of_accession(connection: Connection, accession_number: AccessionNumber) -> JourneySubject:
    """All orders, studies and performed steps of an accession number."""
    rows = orders.search(connection, accession_number=accession_number) if accession_number else []
    return JourneySubject(tuple(OrderRow(row["id"]) for row in reversed(rows)), accession_number)


def of_order(connection: Connection, order: OrderRow) -> JourneySubject | None:
    """One order; None when there is no such row."""
    [*rows] = lookup_rows.order_rows(connection, [order])
    return JourneySubject((order,), AccessionNumber(rows[0]["accession"])) if rows else None


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> JourneySubject | None:
    """A study and the orders that it answers; None when nothing of it has arrived and nobody ordered it."""
    row = studies.get(connection, study_uid)
    if row is None:
        rows = [
            order
            for order, by in lookups.orders_numbered(connection, study_uid, limit=MOST).items()
            if by is MatchedOn.STUDY
        ]
        return JourneySubject(tuple(rows)) if rows else None
    linked = tuple(dict.fromkeys(OrderRow(order["id"]) for order in studies_view.linked(connection, row)))
    return JourneySubject(linked, studies=(study_uid,))


def of_patient(connection: Connection, patient: dict[str, Any]) -> JourneySubject:
    """The newest orders and studies of a patient's row."""
    rows = lookups.orders_of(connection, [PatientRow(patient["id"])], limit=MOST)
    identities = [Identity(patient["patient_id"], patient["issuer"])]
    identities += [Identity(patient_id, issuer) for patient_id, issuer in patient["former"]]
    uids = [uid for identity in identities for uid in studies.of_patient(connection, identity)]
    return JourneySubject(tuple(sorted(rows)), studies=tuple(uids[-MOST:]), numbers=(patient["patient_id"],))


def of_number(connection: Connection, number: str) -> JourneySubject:
    """What a number of any kind means: an accession number, else another number of an order, a UID, a Patient ID;
    messages that were not applied are found by it in any case."""
    found = lookups.orders_numbered(connection, number, limit=MOST)
    known = lookups.studies_numbered(connection, number, limit=MOST)
    by = set(found.values()) | set(known.values())
    if MatchedOn.ACCESSION in by or not number:
        return of_accession(connection, AccessionNumber(number))
    uids = [row["study_uid"] for row in lookup_rows.study_rows(connection, list(known))]
    if found:
        return JourneySubject(tuple(sorted(found)), _common(connection, sorted(found)), tuple(uids), (number,))
    if uids and MatchedOn.PATIENT_ID not in by:
        of_first = of_study(connection, uids[0]) or JourneySubject()
        return JourneySubject(of_first.orders, studies=tuple(uids), numbers=(number,))
    for patient in lookup_rows.patients_today(connection, lookups.patients_numbered(connection, number, limit=1)):
        return of_patient(connection, patient)
    # Performed steps may state an accession number that no order has.
    return JourneySubject(accession=AccessionNumber(number), studies=tuple(uids), numbers=(number,))


def _common(connection: Connection, rows: Sequence[OrderRow]) -> AccessionNumber:
    """The accession number that all of these orders have, or none."""
    numbers = {row["accession"] for row in lookup_rows.order_rows(connection, rows)}
    return AccessionNumber(numbers.pop() if len(numbers) == 1 else "")


def patient_row(connection: Connection, row: PatientRow) -> dict[str, Any] | None:
    """The patient to whom a row leads today."""
    patient = patients.get(connection, row)
    return None if patient is None else dict(patients.survivor(connection, patient))
