"""Which stored orders a statement is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from gateway.errors import DuplicateKey
from gateway.records import order_matching
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.imaging_order import Order
from gateway.records.order import OrderedProcedure
from gateway.records.patient import identity_of
from gateway.store import order_book as book
from gateway.store import patients
from gateway.store.statement import Row
from gateway.value_class import value_class

ACCESSION: int = 3
"""The rank of what only the accession number leads to."""


@value_class
class Found:
    orders: tuple[Order, ...] = ()
    """Those that the statement is about; several if its numbers make one order of them."""
    of_another: bool = False
    """An order with these numbers belongs, as far as is known, to another patient."""


def find(connection: Connection, statement: OrderedProcedure) -> Order | None:
    """The order that the statement is about, by the numbers they share.

    Raises `DuplicateKey` when its Study Instance UID is another order's.
    """
    named = patients.meant(connection, identity_of(statement.patient)) if "PatientID" in statement.patient else None
    return next(iter(look_up(connection, statement, named).orders), None)


def look_up(connection: Connection, statement: OrderedProcedure, named: Row | None) -> Found:
    """The orders that the statement is about. `named`: the patient whom it names.

    Raises `DuplicateKey` when its Study Instance UID is another order's.
    """
    fitting: list[tuple[int, Order]] = []
    of_another = False
    for rank, order in _concerned(connection, statement):
        sure = not order_matching.is_ambiguous(statement, order, ranked=rank)
        theirs = _is_of(connection, named, statement, order, sure=sure)
        if theirs or (theirs is None and sure):
            fitting.append((rank, order))
        elif theirs is False and sure and order.procedures:
            of_another = True
    return Found(tuple(_of_one(fitting)), of_another)


def _concerned(connection: Connection, statement: OrderedProcedure) -> Iterator[tuple[int, Order]]:
    """Each order that a number of the statement leads to, once, best first."""
    seen = set()
    for rank, order in book.find(connection, numbers_of(statement)):
        concerned = order_matching.concerns(statement, order, ranked=rank)
        if concerned is None:
            raise DuplicateKey("the Study Instance UID belongs to another order", place=statement.place.at(2))
        if concerned and order.row not in seen:
            seen.add(order.row)
            yield rank, order


def numbers_of(statement: OrderedProcedure) -> book.Numbers:
    """The numbers that a statement has for its order, without an accession number of our own."""
    return book.Numbers(
        study_uid=StudyInstanceUID(statement.procedure.get("StudyInstanceUID") or ""),
        filler=statement.filler.value if statement.filler else "",
        placer=statement.placer.value if statement.placer else "",
        accession_number=AccessionNumber(
            "" if "AccessionNumber" in statement.derived else statement.order.get("AccessionNumber") or ""
        ),
        authority=statement.authority,
        parent=statement.parent.value if statement.parent else "",
        parent_filler=statement.parent_filler.value if statement.parent_filler else "",
    )


def _is_of(
    connection: Connection, named: Row | None, statement: OrderedProcedure, order: Order, *, sure: bool
) -> bool | None:
    """Whether the order is of the patient whom the statement names; None when one of them names nobody."""
    if order.patient is None or "PatientID" not in statement.patient:
        return None
    if named is not None and named["id"] == order.patient:
        return True
    if sure and "IssuerOfPatientID" not in statement.derived:
        return False
    # An issuer that the message does not state is a guess of ours, and no reason to refuse.
    row = patients.get(connection, order.patient)
    return row is not None and statement.patient["PatientID"] in patients.ids_of(row)


def _of_one(fitting: Sequence[tuple[int, Order]]) -> Iterator[Order]:
    """The best of the orders, and those that the statement makes one with it.

    An accession number that leads to several orders makes them no single one.
    """
    chosen: list[Order] = []
    by_accession = sum(rank == ACCESSION for rank, _ in fitting)
    for rank, order in fitting:
        if chosen and rank == ACCESSION and by_accession > 1:
            continue
        if not any(order_matching.contradict(order, one) for one in chosen):
            chosen.append(order)
            yield order
