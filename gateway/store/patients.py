"""Patients and the identities under which they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from gateway.records.order import Attributes
from gateway.records.patient import Identity, Stamps
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.store.absences import Key, are_absent
from gateway.store.engine import lock_all
from gateway.store.foreseen import Read
from gateway.store.schema import orders, patients
from gateway.store.statement import Row, Statement
from gateway.worklist.names import name_key

_BY_IDENTITY: Final = Statement(
    select(patients).where(patients.c.patient_id == bindparam("patient_id"), patients.c.issuer == bindparam("issuer"))
)
_ONE: Final = select(patients).where(patients.c.id == bindparam("the_row"))
_BY_ID: Final = Statement(_ONE)
_HOLD: Final = Statement(_ONE.with_for_update())
_ADD: Final = Statement(
    insert(patients),
    (
        "patient_id", "issuer", "attributes", "stamps", "former", "name_key", "given_key", "merged_into", "merged_at",
        "first_at", "arrivals", "updated_at",
    ),
)  # fmt: skip
_ABSORBED: Final = Statement(
    select(patients).where(patients.c.merged_into == bindparam("the_row")).order_by(patients.c.id)
)
_CHANGE: Final = update(patients).where(patients.c.id == bindparam("the_row"))
_OF_ORDER: Final = Statement(
    select(patients.c.arrivals)
    .join(orders, orders.c.patient == patients.c.id)
    .where(orders.c.id == bindparam("the_order")),
    about=lambda values, _rows: (("numbers of order", values["the_order"]),),
)
LONGEST_CHAIN: Final = 100


def hold(connection: Connection, *identities: Identity) -> None:
    """Keep these identities from other writers until the transaction ends."""
    lock_all(connection, map(lock_of, identities))


def lock_of(identity: Identity) -> str:
    """What is held while an identity is looked for and changed."""
    return f"patient|{identity.issuer}|{identity.patient_id}"


def key_of(identity: Identity) -> Key:
    """By which it is known whether there is an identity."""
    return "patient", identity.patient_id, identity.issuer


def find(connection: Connection, identity: Identity) -> Row | None:
    """The row of exactly this identity, merged or not."""
    if are_absent(connection, (key_of(identity),)):
        return None
    values = {"patient_id": identity.patient_id, "issuer": identity.issuer}
    return _BY_IDENTITY.first(connection, values)


def survivor(connection: Connection, row: Row, at: int | None = None) -> Row:
    """The patient to whom a row leads today, or led at a time (microseconds): itself, or at the end of its merges."""
    for _ in range(LONGEST_CHAIN):
        if row["merged_into"] is None or (at is not None and at < row["merged_at"]):
            return row
        further = _BY_ID.first(connection, {"the_row": row["merged_into"]})
        if further is None:
            return row
        row = further
    return row


def hold_survivor(connection: Connection, row: Row) -> Row:
    """The survivor to whom a row leads, kept from other writers until the transaction ends. The identity of the row
    itself is held already."""
    for _ in range(LONGEST_CHAIN):
        if row["merged_into"] is None:
            return row
        end = survivor(connection, row)
        if end["id"] == row["id"]:
            # Whom it led to is gone: their age has removed them.
            return row
        hold(connection, Identity(end["patient_id"], end["issuer"]))
        # Another writer may have ended it before it was held.
        row = _BY_ID.first(connection, {"the_row": end["id"]}) or end
    return row


def meant(connection: Connection, identity: Identity) -> Row | None:
    """The patient to whom an identity leads today; None when there is none."""
    row = find(connection, identity)
    return None if row is None else survivor(connection, row)


_NAMED: Final = select(patients).where(
    patients.c.patient_id == bindparam("patient_id"),
    # Without an issuer the number must mean one patient only.
    or_(bindparam("issuer") == "", patients.c.issuer == bindparam("issuer")),
)


def merged_into(connection: Connection, identity: Identity) -> Row | None:
    """The patient into whom this identity was merged, or under whose new number they go; None for one who still goes by
    it, is not known, or whom a number without issuer does not tell from another."""
    rows = _named(connection, identity)
    return None if all(row["merged_into"] is None for row in rows) else _one_survivor(connection, rows)


def identity_today(connection: Connection, identity: Identity) -> Identity:
    """How the patient whom an identity names is called today: as the survivor of a merge, else as named."""
    merged = merged_into(connection, identity) if identity.patient_id else None
    return identity if merged is None else Identity(merged["patient_id"], merged["issuer"])


def today(connection: Connection, identity: Identity) -> Row | None:
    """The patient to whom this identity leads today; None for one who is not known, or whom a number without issuer
    does not tell from another."""
    return _one_survivor(connection, _named(connection, identity))


def _named(connection: Connection, identity: Identity) -> list[Row]:
    values = {"patient_id": identity.patient_id, "issuer": identity.issuer}
    return [dict(row) for row in connection.execute(_NAMED, values).mappings()]


def _one_survivor(connection: Connection, rows: Sequence[Row]) -> Row | None:
    meant_now = {row["id"]: row for row in (survivor(connection, one) for one in rows)}
    return next(iter(meant_now.values())) if len(meant_now) == 1 else None


def ids_of(row: Row) -> set[str]:
    """All Patient IDs of a patient, whoever gave them."""
    return {row["patient_id"], *(patient_id for patient_id, _ in row["former"])}


def get(connection: Connection, patient: PatientRow, *, to_change: bool = False) -> Row | None:
    """The patient's row; `to_change` keeps it from others until the transaction ends."""
    return (_HOLD if to_change else _BY_ID).first(connection, {"the_row": patient})


def arrivals_of_order(connection: Connection, order: OrderRow) -> list[list[int]]:
    """The arrivals of the patient of an order; none where the order has no patient."""
    row = _OF_ORDER.first(connection, {"the_order": order})
    arrivals: list[list[int]] = row["arrivals"] if row is not None else []
    return arrivals


def read_of_order(order: OrderRow) -> Read:
    """What `arrivals_of_order` reads."""
    return _OF_ORDER, {"the_order": order}


def add(
    connection: Connection,
    identity: Identity,
    *,
    attributes: Attributes,
    stamps: Stamps,
    first_at: int,
    now: int,
    merged_into: PatientRow | None = None,
) -> PatientRow:
    """A new identity. `first_at`: the time of the statement that names it; with `merged_into` it ends then."""
    row = _ADD.add(
        connection,
        {
            "patient_id": identity.patient_id,
            "issuer": identity.issuer,
            "attributes": attributes,
            "stamps": stamps,
            "former": [],
            **_name_keys(attributes),
            "merged_into": merged_into,
            "merged_at": 0 if merged_into is None else first_at,
            "first_at": first_at,
            "arrivals": [],
            "updated_at": now,
        },
    )
    return PatientRow(row)


def _name_keys(attributes: Attributes) -> dict[str, str]:
    """By which a name is found, from the family name on and from the given name on."""
    key = name_key(str(attributes.get("PatientName") or ""))
    return {"name_key": key, "given_key": key.partition("^")[2]}


def absorbed_by(connection: Connection, patient: PatientRow) -> Sequence[Row]:
    """The rows of the identities that were merged into one, without those merged into these."""
    return _ABSORBED.rows(connection, {"the_row": patient})


def change(connection: Connection, patient: PatientRow, **values: Any) -> None:
    if "attributes" in values:
        values |= _name_keys(values["attributes"])
    connection.execute(_CHANGE, {"the_row": patient, **values})


_MOVE: Final = (
    update(orders)
    .where(orders.c.patient == bindparam("the_old"))
    .values(patient=bindparam("the_new"))
    .returning(orders.c.id)
)
_ORDERS: Final = select(orders.c.id).where(orders.c.patient == bindparam("the_patient")).order_by(orders.c.id)


def orders_of(connection: Connection, patient: PatientRow) -> list[OrderRow]:
    return list(connection.execute(_ORDERS, {"the_patient": patient}).scalars())


def move_orders(connection: Connection, old: PatientRow, new: PatientRow) -> list[OrderRow]:
    """Give all orders of one patient to another; returns them."""
    # Not by a look before: another gateway may remove an order until this one holds it.
    return sorted(connection.execute(_MOVE, {"the_old": old, "the_new": new}).scalars())
