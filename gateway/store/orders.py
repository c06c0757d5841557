"""Orders as people and studies look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    and_,
    bindparam,
    or_,
    select,
)

from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.row_ids import OrderRow
from gateway.store import patients as patient_rows
from gateway.store.schema import orders, patients, procedures, steps


def search(
    connection: Connection,
    *,
    accession_number: str = "",
    patient: str = "",
    rows: Sequence[OrderRow] | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Orders for people: with patient, procedures and steps; newest first."""
    wanted = select(orders).order_by(orders.c.id.desc()).limit(limit)
    if rows is not None:
        wanted = wanted.where(orders.c.id.in_(rows))
    if accession_number:
        wanted = wanted.where(orders.c.accession == accession_number)
    if patient:
        wanted = wanted.join(patients, patients.c.id == orders.c.patient).where(patients.c.patient_id == patient)
    found = []
    for row in connection.execute(wanted).mappings().all():
        order = dict(row)
        order["patient"] = dict(patient_rows.get(connection, row["patient"]) or {}) if row["patient"] else None
        order["procedures"] = [
            {**procedure, "steps": _all(connection, steps, steps.c.procedure == procedure["id"])}
            for procedure in _all(connection, procedures, procedures.c.order == row["id"])
        ]
        found.append(order)
    return found


def _all(connection: Connection, table: Table, where: ColumnElement[bool]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table).where(where).order_by(table.c.id)).mappings()]


_OF_PATIENT: Final = and_(
    patients.c.patient_id == bindparam("patient_id"),
    # The issuer of the Patient ID need not be stored on both sides; where both have it, it must be the same.
    or_(bindparam("issuer") == "", patients.c.issuer == "", patients.c.issuer == bindparam("issuer")),
)
_LINK_BY_UID: Final = (
    select(orders, patients.c.patient_id, patients.c.issuer)
    .join(procedures, procedures.c.order == orders.c.id)
    .join(patients, patients.c.id == orders.c.patient)
    .where(procedures.c.study_uid == bindparam("study_uid"), or_(bindparam("patient_id") == "", _OF_PATIENT))
)
_LINK_BY_ACCESSION: Final = (
    select(orders, patients.c.patient_id, patients.c.issuer)
    .join(patients, patients.c.id == orders.c.patient)
    .where(orders.c.accession == bindparam("accession"), _OF_PATIENT)
    .order_by(orders.c.id)
)
_HAS_ACCESSION: Final = (
    select(orders.c.id)
    .where(orders.c.accession == bindparam("accession"), orders.c.patient.is_not(None))
    .where(or_(bindparam("authority") == "", orders.c.authority == bindparam("authority")))
    .limit(1)
)


def linked(
    connection: Connection,
    *,
    study_uid: StudyInstanceUID,
    accession_number: AccessionNumber,
    patient_id: str,
    issuer: str,
) -> list[RowMapping]:
    """Orders that a study answers: by its Study Instance UID, else by accession number; both only of its patient."""
    patient = {"patient_id": patient_id, "issuer": issuer}
    rows = list(connection.execute(_LINK_BY_UID, {"study_uid": study_uid, **patient}).mappings())
    if rows or not accession_number or not patient_id:
        return rows
    return list(connection.execute(_LINK_BY_ACCESSION, {"accession": accession_number, **patient}).mappings())


_PATIENTS_BY_UID: Final = (
    select(patients)
    .join(orders, orders.c.patient == patients.c.id)
    .join(procedures, procedures.c.order == orders.c.id)
    .where(procedures.c.study_uid == bindparam("study_uid"))
    .distinct()
)
_PATIENTS_BY_ACCESSION: Final = (
    select(patients)
    .join(orders, orders.c.patient == patients.c.id)
    .where(orders.c.accession == bindparam("accession"))
    .distinct()
)


def patient_of(
    connection: Connection, *, study_uid: StudyInstanceUID, accession_number: AccessionNumber
) -> RowMapping | None:
    """The one patient whose order has this Study Instance UID, else this accession number; None for none or several."""
    found = connection.execute(_PATIENTS_BY_UID, {"study_uid": study_uid}).mappings().all()
    if not found and accession_number:
        found = connection.execute(_PATIENTS_BY_ACCESSION, {"accession": accession_number}).mappings().all()
    return found[0] if len(found) == 1 else None


def of_others_alone(
    connection: Connection, accession_number: AccessionNumber, *, authority: str = "", patient_id: str, issuer: str
) -> bool:
    """Whether orders have this accession number, of `authority` if that is known, and none is of this patient."""
    known = connection.execute(_HAS_ACCESSION, {"accession": accession_number, "authority": authority}).first()
    patient = {"patient_id": patient_id, "issuer": issuer}
    return (
        known is not None
        and not connection.execute(_LINK_BY_ACCESSION, {"accession": accession_number, **patient}).first()
    )
