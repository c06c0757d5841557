"""Patients and the identities under which they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from gateway.records.order import Attributes
from gateway.records.patient import Identity, Stamps
from gateway.store.engine import lock
from gateway.store.schema import orders, patients

_BY_IDENTITY: Final = select(patients).where(
    patients.c.patient_id == bindparam("patient_id"), patients.c.issuer == bindparam("issuer")
)
_BY_ID: Final = select(patients).where(patients.c.id == bindparam("the_row"))
_HOLD: Final = _BY_ID.with_for_update()
_ADD: Final = insert(patients)
_CHANGE: Final = update(patients).where(patients.c.id == bindparam("the_row"))
LONGEST_CHAIN: Final = 100


def hold(connection: Connection, *identities: Identity) -> None:
    """Keep these identities from other writers until the transaction ends."""
    lock(connection, *(f"patient|{one.issuer}|{one.patient_id}" for one in identities))


def find(connection: Connection, identity: Identity) -> RowMapping | None:
    """The row of exactly this identity, merged or not."""
    values = {"patient_id": identity.patient_id, "issuer": identity.issuer}
    return connection.execute(_BY_IDENTITY, values).mappings().first()


def survivor(connection: Connection, row: RowMapping) -> RowMapping:
    """The patient whom a row means today: itself, or at the end of its merges."""
    for _ in range(LONGEST_CHAIN):
        if row["merged_into"] is None:
            return row
        further = connection.execute(_BY_ID, {"the_row": row["merged_into"]}).mappings().first()
        if further is None:
            return row
        row = further
    return row


def get(connection: Connection, patient: int, *, to_change: bool = False) -> RowMapping | None:
    """The patient's row; `to_change` keeps it from others until the transaction ends."""
    return connection.execute(_HOLD if to_change else _BY_ID, {"the_row": patient}).mappings().first()


def add(
    connection: Connection,
    identity: Identity,
    *,
    attributes: Attributes,
    said: Stamps,
    now: int,
    merged_into: int | None = None,
) -> int:
    key = connection.execute(
        _ADD,
        {
            "patient_id": identity.patient_id,
            "issuer": identity.issuer,
            "attributes": attributes,
            "said": said,
            "former": [],
            "merged_into": merged_into,
            "arrivals": [],
            "updated_at": now,
        },
    ).inserted_primary_key
    assert key is not None
    return int(key[0])


def change(connection: Connection, patient: int, **values: Any) -> None:
    connection.execute(_CHANGE, {"the_row": patient, **values})


_MOVE: Final = update(orders).where(orders.c.patient == bindparam("the_old")).values(patient=bindparam("the_new"))
_ORDERS: Final = select(orders.c.id).where(orders.c.patient == bindparam("the_patient")).order_by(orders.c.id)


def orders_of(connection: Connection, patient: int) -> list[int]:
    return list(connection.execute(_ORDERS, {"the_patient": patient}).scalars())


def move_orders(connection: Connection, old: int, new: int) -> list[int]:
    """Give all orders of one patient to another; returns them."""
    moved = orders_of(connection, old)
    if moved:
        connection.execute(_MOVE, {"the_old": old, "the_new": new})
    return moved


def merged_into(connection: Connection, patients_: Sequence[int]) -> list[int]:
    """These patients and all whose identities have been merged into them."""
    found = list(patients_)
    for _ in range(LONGEST_CHAIN):
        more = connection.execute(
            select(patients.c.id).where(patients.c.merged_into.in_(found), patients.c.id.not_in(found))
        ).scalars()
        fresh = list(more)
        if not fresh:
            break
        found += fresh
    return found
