"""Orders that belong together: parents with their children, and rows of which a message makes one order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    or_,
    select,
    update,
)

from gateway.records.imaging_order import Order
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.store import order_book, study_links
from gateway.store.schema import (
    EMPTY,
    link_changes,
    order_conflicts,
    order_messages,
    orders,
    performed_step_links,
    procedures,
)
from gateway.store.statement import Statement

DEEPEST: Final = 10
"""Generations of parents and children that are followed."""


def _numbered(placer: ColumnElement[str], filler: ColumnElement[str]) -> Select[Any]:
    """Orders of one sender of which either column holds the number asked for; an empty number is none."""
    by_number = or_(
        and_(placer == bindparam("placer"), placer != EMPTY), and_(filler == bindparam("filler"), filler != EMPTY)
    )
    return select(orders).where(by_number, orders.c.sender == bindparam("sender")).order_by(orders.c.id)


_CHILDREN: Final = Statement(_numbered(orders.c.parent, orders.c.parent_filler).with_for_update())
_PARENTS: Final = _numbered(orders.c.placer, orders.c.filler)
_READ: Final = Statement(_PARENTS)
_HOLD: Final = Statement(_PARENTS.with_for_update())


def children(connection: Connection, parent: Order) -> list[Order]:
    """The orders of its patient that are parts of one, and their parts, held until the transaction ends."""
    return list(_descendants(connection, parent, {parent.row}, DEEPEST))


def _descendants(connection: Connection, parent: Order, seen: set[OrderRow | None], deep: int) -> Iterator[Order]:
    if not deep or not (parent.placer.value or parent.filler.value):
        return
    numbers = {"placer": parent.placer.value, "filler": parent.filler.value}
    for row in _CHILDREN.rows(connection, {**numbers, "sender": parent.sender}):
        if row["id"] not in seen and _of_one_patient(row["patient"], parent.patient):
            seen.add(row["id"])
            child = order_book.loaded(connection, row)
            yield child
            yield from _descendants(connection, child, seen, deep - 1)


def parents(connection: Connection, child: Order, *, hold: bool = False) -> list[Order]:
    """The orders of its patient that an order is a part of, and those of which they are parts, nearest first. `hold`:
    keep the nearest until the transaction ends."""
    found: list[Order] = []
    part, statement = child, _HOLD if hold else _READ
    while part.is_part and len(found) < DEEPEST:
        seen = {child.row, *(one.row for one in found)}
        numbers = {"placer": part.parent, "filler": part.parent_filler}
        rows = statement.rows(connection, {**numbers, "sender": child.sender})
        nearest = [
            order_book.loaded(connection, row)
            for row in rows
            if row["id"] not in seen and _of_one_patient(row["patient"], child.patient)
        ]
        found += nearest
        if not nearest:
            break
        part, statement = next((one for one in nearest if one.is_part), nearest[0]), _READ
    return found


def _of_one_patient(one: PatientRow | None, other: PatientRow | None) -> bool:
    return one is None or other is None or one == other


_PARTS: Final = Statement(
    select(orders.c.id)
    .where(orders.c.patient == bindparam("the_patient"), or_(orders.c.parent != EMPTY, orders.c.parent_filler != EMPTY))
    .order_by(orders.c.id)
)


def parts_of(connection: Connection, patient: PatientRow) -> list[OrderRow]:
    """The orders of a patient that are parts of others."""
    return [row["id"] for row in _PARTS.rows(connection, {"the_patient": patient})]


_OTHER: Final = orders.alias("other")
_PAIRS: Final = Statement(
    select(orders.c.id, _OTHER.c.id.label("other"))
    .join(_OTHER, and_(_OTHER.c.patient == orders.c.patient, _OTHER.c.id > orders.c.id))
    .where(
        orders.c.patient == bindparam("the_patient"),
        or_(
            and_(orders.c.placer != "", orders.c.placer == _OTHER.c.placer),
            and_(orders.c.filler != "", orders.c.filler == _OTHER.c.filler),
            and_(orders.c.accession != "", orders.c.accession == _OTHER.c.accession),
            and_(orders.c.study_uid != EMPTY, orders.c.study_uid == _OTHER.c.study_uid),
        ),
    )
    .order_by(orders.c.id, _OTHER.c.id)
)
_STUDY_PAIRS: Final = Statement(
    select(orders.c.id, procedures.c.order.label("other"))
    .join(procedures, and_(procedures.c.study_uid == orders.c.study_uid, procedures.c.order != orders.c.id))
    .join(_OTHER, and_(_OTHER.c.id == procedures.c.order, _OTHER.c.patient == orders.c.patient))
    .where(orders.c.patient == bindparam("the_patient"), orders.c.study_uid != EMPTY)
    .order_by(orders.c.id, procedures.c.order)
)


def of_equal_numbers(connection: Connection, patient: PatientRow) -> list[tuple[OrderRow, OrderRow]]:
    """Pairs of orders of one patient that have an order number, the accession number or a Study Instance UID in
    common."""
    values = {"the_patient": patient}
    rows = [*_PAIRS.rows(connection, values), *_STUDY_PAIRS.rows(connection, values)]
    return [(row["id"], row["other"]) for row in rows]


def join(connection: Connection, kept: OrderRow, gone: OrderRow) -> None:
    """Give what one row of an order has to another, and remove the row."""
    rows = {"kept": kept, "gone": gone}
    connection.execute(_moved(procedures), rows)
    for table, keys in _TIED:
        there = table.alias()
        same = and_(there.c.order == bindparam("kept"), *(there.c[key] == table.c[key] for key in keys))
        connection.execute(_moved(table).where(~select(there.c.order).where(same).exists()), rows)
        connection.execute(delete(table).where(table.c.order == bindparam("gone")), rows)
    study_links.join(connection, kept, gone)
    connection.execute(delete(orders).where(orders.c.id == bindparam("gone")), rows)


_TIED: Final = (
    (order_messages, ("message",)),
    (performed_step_links, ("performed_step", "study_uid", "step_id")),
    (link_changes, ("id",)),
    (order_conflicts, ("id",)),
)
"""What refers to an order, with what tells its rows apart."""


def _moved(table: Table) -> Any:
    return update(table).where(table.c.order == bindparam("gone")).values(order=bindparam("kept"))
