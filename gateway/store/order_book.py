"""Orders with their procedures and steps, read and written as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)

from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.imaging_order import Order, Procedure, Step
from gateway.records.row_ids import OrderRow, ProcedureRow
from gateway.store.absences import Key, are_absent
from gateway.store.engine import lock_all
from gateway.store.foreseen import Found, Read, Subject, Touches
from gateway.store.keys import begin_anew
from gateway.store.order_rows import (
    order_columns,
    order_of,
    procedure_columns,
    procedure_of,
    step_columns,
    step_of,
)
from gateway.store.schema import EMPTY, orders, procedures, steps
from gateway.store.statement import Row, Statement

# Made once: a statement that is made anew for every row costs as much as running it.
_INSERT: Final = {
    table: Statement(insert(table), [column.name for column in table.columns if not column.primary_key])
    for table in (orders, procedures, steps)
}
_DELETE: Final = {table: delete(table).where(table.c.id == bindparam("the_row")) for table in (procedures, steps)}
_FIND: Final = Statement(
    union_all(
        select(procedures.c.order.label("id"), literal(0).label("rank")).where(
            procedures.c.study_uid == bindparam("study_uid")
        ),
        select(orders.c.id, literal(0)).where(
            orders.c.study_uid == bindparam("study_uid"), orders.c.study_uid != EMPTY
        ),
        select(orders.c.id, literal(1)).where(orders.c.filler == bindparam("filler"), bindparam("filler") != ""),
        select(orders.c.id, literal(2)).where(orders.c.placer == bindparam("placer"), bindparam("placer") != ""),
        select(orders.c.id, literal(3)).where(
            orders.c.accession == bindparam("accession"),
            # An authority that nobody knows may be any.
            or_(orders.c.authority.in_((bindparam("authority"), "")), bindparam("authority") == ""),
            bindparam("accession") != "",
        ),
    )
)


def _about(values: Mapping[str, Any], _rows: Found) -> tuple[Subject]:
    return (("order", values["the_order"]),)


_ORDER: Final = Statement(
    select(orders).where(orders.c.id == bindparam("the_order")).with_for_update(), about=_about, holds_others=True
)
"""Held: two messages may name one order by different numbers, under which they would not meet."""
_STANDS: Final = Statement(select(orders).where(orders.c.id == bindparam("the_order")))
_OF_STUDY: Final = Statement(
    select(orders)
    .join(procedures, procedures.c.order == orders.c.id)
    .where(procedures.c.study_uid == bindparam("study_uid"))
)
_PROCEDURES: Final = Statement(
    select(procedures).where(procedures.c.order == bindparam("the_order")).order_by(procedures.c.id), about=_about
)
_STEPS: Final = Statement(
    select(steps)
    .join(procedures, procedures.c.id == steps.c.procedure)
    .where(procedures.c.order == bindparam("the_order"))
    .order_by(steps.c.id),
    about=_about,
)


class Numbers(NamedTuple):
    """The numbers by which a message names its order; empty for those that the message does not state."""

    study_uid: StudyInstanceUID
    filler: str
    placer: str
    accession_number: AccessionNumber
    authority: str
    parent: str = ""
    """Placer number of what the order replaces or is a part of."""
    parent_filler: str = ""

    @property
    def locks(self) -> Iterator[str]:
        """What is held while the order is looked for and made."""
        yield from number_keys(self.study_uid, self.filler, self.placer, self.accession_number)
        yield from number_keys(filler=self.parent_filler, placer=self.parent)

    @property
    def keys(self) -> list[Key]:
        """By which it is known whether there is an order with one of the numbers."""
        keys: tuple[Key, ...] = (
            ("study", self.study_uid, ""), ("filler", self.filler, ""), ("placer", self.placer, ""),
            ("accession", self.accession_number, ""),
        )  # fmt: skip
        return [key for key in keys if key[1]]


def find(connection: Connection, numbers: Numbers) -> list[tuple[int, Order]]:
    """Orders that share a number with the one looked for, as (rank, order), best first.

    Rank 0: Study Instance UID, 1: filler order number, 2: placer order number, 3: accession number. Holds these
    identities and the orders found until the transaction ends, and the number of what the order replaces or is a part
    of.
    """
    lock_all(connection, numbers.locks)
    if are_absent(connection, numbers.keys):
        return []
    values = {
        "study_uid": numbers.study_uid,
        "filler": numbers.filler,
        "placer": numbers.placer,
        "accession": numbers.accession_number,
        "authority": numbers.authority,
    }
    ranked = _FIND.rows(connection, values)
    if not ranked:
        return []
    # In one order, so that two transactions do not wait for one another.
    found = {row: get(connection, row) for row in sorted({one["id"] for one in ranked})}
    best = sorted(ranked, key=lambda one: (one["rank"], one["id"]))
    return [(one["rank"], found[one["id"]]) for one in best]


def number_keys(study_uid: str = "", filler: str = "", placer: str = "", accession_number: str = "") -> Iterator[str]:
    """What `lock` holds while an order with these numbers is looked for and made."""
    for kind, number in enumerate((study_uid, filler, placer, accession_number)):
        if number:
            yield f"order|{kind}|{number}"


def get(connection: Connection, order: OrderRow) -> Order:
    """The order in a row, held until the transaction ends. Raises `Contended` where the row was removed since it was
    found: a merge of patients, which holds no numbers, has made one order of two."""
    row = _ORDER.first(connection, {"the_order": order})
    if row is None:
        begin_anew(connection)
    assert row is not None
    return loaded(connection, row)


def stands(connection: Connection, order: OrderRow) -> Order:
    """The order in a row as it stands, held by nobody: for who changes nothing."""
    row = _STANDS.first(connection, {"the_order": order})
    assert row is not None
    return loaded(connection, row)


def is_there(connection: Connection, order: OrderRow) -> bool:
    """Whether the order of a row was not removed, which a merge of patients does that makes one order of two."""
    return _STANDS.first(connection, {"the_order": order}) is not None


def of_study(connection: Connection, study_uid: StudyInstanceUID) -> Order | None:
    """The order of a Study Instance UID as it stands, held by nobody."""
    row = _OF_STUDY.first(connection, {"study_uid": study_uid})
    return None if row is None else loaded(connection, row)


def study_uid(connection: Connection, order: OrderRow) -> StudyInstanceUID:
    """The Study Instance UID of the first procedure of an order, '' if it has none."""
    row = next(iter(_PROCEDURES.rows(connection, {"the_order": order})), None)
    return StudyInstanceUID(row["study_uid"] if row is not None else "")


def loaded(connection: Connection, row: Row) -> Order:
    """The order of a row of `orders`."""
    values = {"the_order": row["id"]}
    within: dict[ProcedureRow, list[Step]] = {}
    for step in _STEPS.rows(connection, values):
        within.setdefault(step["procedure"], []).append(step_of(step))
    return order_of(row, [procedure_of(one, within.get(one["id"], ())) for one in _PROCEDURES.rows(connection, values)])


def save(connection: Connection, before: Order | None, after: Order, *, now: int) -> OrderRow:
    """Write what is different between two states of an order; returns its row."""
    values = order_columns(after)
    if before is None or before.row is None:
        order = OrderRow(_add(connection, orders, {**values, "created_at": now, "updated_at": now}))
    else:
        order = before.row
        was = order_columns(before)
        if values != was:
            _change(connection, orders, order, order, was, {**values, "updated_at": now})
    old = {one.row: one for one in before.procedures} if before else {}
    # What goes makes room first: its identifiers may have become another's.
    for gone in [old.pop(row) for row in old.keys() - {one.row for one in after.procedures}]:
        for step in gone.steps:
            connection.execute(_DELETE[steps], {"the_row": step.row})
        connection.execute(_DELETE[procedures], {"the_row": gone.row})
    for procedure in after.procedures:
        _save_procedure(connection, order, old.get(procedure.row), procedure, now)
    return order


def _save_procedure(
    connection: Connection, order: OrderRow, before: Procedure | None, after: Procedure, now: int
) -> None:
    if before is after:
        return
    values = procedure_columns(after)
    if before is None or before.row is None:
        row = ProcedureRow(_add(connection, procedures, {**values, "order": order}))
    else:
        row, was = before.row, procedure_columns(before)
        if values != was:
            _change(connection, procedures, order, row, was, values)
    old = {one.row: one for one in before.steps} if before else {}
    for gone in old.keys() - {one.row for one in after.steps}:
        connection.execute(_DELETE[steps], {"the_row": gone})
    for step in after.steps:
        earlier = old.get(step.row)
        if earlier is step:
            continue
        stated = step_columns(step)
        if earlier is None or earlier.row is None:
            _add(connection, steps, {**stated, "procedure": row, "updated_at": now})
        elif stated != (stood := step_columns(earlier)):
            _change(connection, steps, order, earlier.row, stood, {**stated, "updated_at": now})


def _add(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    return _INSERT[table].add(connection, values)


_NUMBERS: Final = {
    orders: ("patient", "authority", "accession", "placer", "filler", "parent", "parent_filler", "study_uid"),
    procedures: ("study_uid", "requested_procedure_id"),
    steps: ("step_id",),
}
"""By what a row is looked for, or is the only one."""


def _change(
    connection: Connection, table: Table, order: OrderRow, row: int, before: dict[str, Any], values: dict[str, Any]
) -> None:
    """Write a row of an order. What leaves its numbers as they are concerns nobody else, and need not go at once."""
    given = {"the_row": row, **values}
    if all(values[name] == before[name] for name in _NUMBERS[table]):
        _update(table, tuple(values), is_apart=True).change_later(connection, given | {"of": order}, row="the_row")
    else:
        _update(table, tuple(values), is_apart=False).run(connection, given)


@cache
def _update(table: Table, names: tuple[str, ...], *, is_apart: bool) -> Statement:
    touches: Touches | None = (lambda values: (("order", values["of"]),)) if is_apart else None
    return Statement(update(table).where(table.c.id == bindparam("the_row")), names, touches=touches)


def reads_of(order: OrderRow) -> list[Read]:
    """What `get` reads of an order."""
    return [(statement, {"the_order": order}) for statement in (_ORDER, _STEPS, _PROCEDURES)]
