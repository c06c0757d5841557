"""The order book: patients, imaging service requests, requested procedures, scheduled steps."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    Connection,
    RowMapping,
    Table,
    and_,
    bindparam,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from gateway.records.order import Attributes
from gateway.store.engine import lock
from gateway.store.schema import orders, patients, procedures, steps

# Made once: a statement that is made anew for every row costs as much as running it.
_INSERT: Final = {table: insert(table) for table in (patients, orders, procedures, steps)}
_UPDATE: Final = {table: update(table).where(table.c.id == bindparam("the_row")) for table in _INSERT}


def _add(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    key = connection.execute(_INSERT[table], values).inserted_primary_key
    assert key is not None
    return int(key[0])


def _change(connection: Connection, table: Table, row: int, values: dict[str, Any]) -> None:
    connection.execute(_UPDATE[table], {"the_row": row, **values})


_PATIENT: Final = select(patients).where(
    patients.c.patient_id == bindparam("patient_id"), patients.c.issuer == bindparam("issuer")
)


def find_patient(connection: Connection, patient_id: str, issuer: str) -> RowMapping | None:
    """The patient of that Patient ID and issuer; holds the identity until the transaction ends."""
    lock(connection, f"patient|{issuer}|{patient_id}")
    return connection.execute(_PATIENT, {"patient_id": patient_id, "issuer": issuer}).mappings().first()


def add_patient(connection: Connection, *, patient_id: str, issuer: str, attributes: Attributes, now: int) -> int:
    return _add(
        connection,
        patients,
        {"patient_id": patient_id, "issuer": issuer, "attributes": attributes, "updated_at": now},
    )


def change_patient(connection: Connection, patient: int, *, attributes: Attributes, now: int) -> None:
    _change(connection, patients, patient, {"attributes": attributes, "updated_at": now})


_FIND: Final = union_all(
    select(procedures.c.order.label("id"), literal(0).label("rank")).where(
        procedures.c.study_uid == bindparam("study_uid")
    ),
    select(orders.c.id, literal(1)).where(orders.c.filler == bindparam("filler"), bindparam("filler") != ""),
    select(orders.c.id, literal(2)).where(orders.c.placer == bindparam("placer"), bindparam("placer") != ""),
    select(orders.c.id, literal(3)).where(
        orders.c.accession == bindparam("accession"),
        orders.c.authority == bindparam("authority"),
        bindparam("accession") != "",
    ),
)
_ORDERS: Final = select(orders).where(orders.c.id.in_(bindparam("ids", expanding=True))).with_for_update()
"""Held: two messages may name one order by different numbers, under which they would not meet."""


def find_orders(
    connection: Connection, *, study_uid: str, filler: str, placer: str, accession: str, authority: str
) -> list[tuple[int, RowMapping]]:
    """Orders that share a number with the one looked for, as (rank, order), best first.

    Rank 0: Study Instance UID, 1: filler order number, 2: placer order number, 3: accession number. Holds these
    identities until the transaction ends.
    """
    lock(
        connection,
        *(f"order|{kind}|{key}" for kind, key in enumerate((study_uid, filler, placer, accession)) if key),
    )
    values = {
        "study_uid": study_uid,
        "filler": filler,
        "placer": placer,
        "accession": accession,
        "authority": authority,
    }
    ranked = connection.execute(_FIND, values).all()
    if not ranked:
        return []
    found = {row["id"]: row for row in connection.execute(_ORDERS, {"ids": [row.id for row in ranked]}).mappings()}
    return sorted(((row.rank, found[row.id]) for row in ranked), key=lambda one: (one[0], one[1]["id"]))


def add_order(connection: Connection, **values: Any) -> int:
    return _add(connection, orders, values)


def change_order(connection: Connection, order: int, **values: Any) -> None:
    _change(connection, orders, order, values)


_PROCEDURES: Final = select(procedures).where(procedures.c.order == bindparam("the_order")).order_by(procedures.c.id)
_STEPS: Final = select(steps).where(steps.c.procedure == bindparam("the_procedure")).order_by(steps.c.id)


def procedures_of(connection: Connection, order: int) -> list[RowMapping]:
    return list(connection.execute(_PROCEDURES, {"the_order": order}).mappings())


def steps_of(connection: Connection, procedure: int) -> list[RowMapping]:
    return list(connection.execute(_STEPS, {"the_procedure": procedure}).mappings())


def add_procedure(connection: Connection, **values: Any) -> int:
    return _add(connection, procedures, values)


def change_procedure(connection: Connection, procedure: int, **values: Any) -> None:
    _change(connection, procedures, procedure, values)


def add_step(connection: Connection, **values: Any) -> int:
    return _add(connection, steps, values)


def change_step(connection: Connection, step: int, **values: Any) -> None:
    _change(connection, steps, step, values)


def patient_of(connection: Connection, patient: int, *, hold: bool = False) -> RowMapping | None:
    """The patient's row; `hold` keeps it from others until the transaction ends, for who reads it to change it."""
    wanted = select(patients).where(patients.c.id == patient)
    return connection.execute(wanted.with_for_update() if hold else wanted).mappings().first()


def search(connection: Connection, *, accession: str = "", patient: str = "", limit: int = 100) -> list[dict[str, Any]]:
    """Orders for people: with patient, procedures and steps; newest first."""
    wanted = select(orders).order_by(orders.c.id.desc()).limit(limit)
    if accession:
        wanted = wanted.where(orders.c.accession == accession)
    if patient:
        wanted = wanted.join(patients, patients.c.id == orders.c.patient).where(patients.c.patient_id == patient)
    found = []
    for row in connection.execute(wanted).mappings().all():
        order = dict(row)
        order["patient"] = dict(patient_of(connection, row["patient"]) or {}) if row["patient"] else None
        order["procedures"] = [
            {**procedure, "steps": [dict(step) for step in steps_of(connection, procedure["id"])]}
            for procedure in map(dict, procedures_of(connection, row["id"]))
        ]
        found.append(order)
    return found


_OF_PATIENT: Final = and_(
    patients.c.patient_id == bindparam("patient_id"),
    # Whose the Patient ID is need not be said on both sides; where it is, it must be the same.
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


def linked(connection: Connection, *, study_uid: str, accession: str, patient_id: str, issuer: str) -> list[RowMapping]:
    """Orders that a study answers: by its Study Instance UID, else by accession number; both only of its patient."""
    patient = {"patient_id": patient_id, "issuer": issuer}
    rows = list(connection.execute(_LINK_BY_UID, {"study_uid": study_uid, **patient}).mappings())
    if rows or not accession or not patient_id:
        return rows
    return list(connection.execute(_LINK_BY_ACCESSION, {"accession": accession, **patient}).mappings())
