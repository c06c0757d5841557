"""Orders of which a message makes one: by numbers that it states together, or by a merge of their patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.journey.scheduling.applied import SchedulingWork
from gateway.records.imaging_order import Arrival, Order
from gateway.records.order_adoption import united
from gateway.records.order_history import rebuilt_order
from gateway.records.order_matching import groups_of_one
from gateway.records.row_ids import PatientRow
from gateway.store import order_book as book
from gateway.store import order_kin as kin


def joined(work: SchedulingWork, orders: Sequence[Order], arrivals: Sequence[Arrival]) -> Order | None:
    """The order of these rows, as all their messages make it; None of none."""
    if len(orders) < 2:
        return next(iter(orders), None)
    # What was given out, or is being performed, stays in its row.
    kept, *others = sorted(orders, key=lambda one: (not one.performed_at, not one.procedures, one.row))
    assert kept.row is not None
    whole = kept
    for other in others:
        assert other.row is not None
        kin.join(work.connection, kept.row, other.row)
        work.applied.replace_order(other.row, kept.row)
        whole = united(whole, other)
    stored = replace(kept, procedures=whole.procedures)
    book.save(work.connection, stored, _rebuilt(work, whole, arrivals), now=work.now)
    return book.get(work.connection, kept.row)


def join_orders_of(work: SchedulingWork, patient: PatientRow, arrivals: Sequence[Arrival]) -> None:
    """Make one order of those of a patient that two identities of theirs had kept apart, and do to children what was
    done to their parents under the other identity."""
    pairs = kin.of_equal_numbers(work.connection, patient)
    orders = {row: book.get(work.connection, row) for row in sorted({row for pair in pairs for row in pair})}
    for group in groups_of_one([(orders[one], orders[other]) for one, other in pairs]):
        order = joined(work, group, arrivals)
        assert order is not None
        assert order.row is not None
        work.applied.orders.append((order.row, "updated"))
    for row in kin.parts_of(work.connection, patient):
        brought_up(work, book.get(work.connection, row), arrivals)


def brought_up(work: SchedulingWork, child: Order, arrivals: Sequence[Arrival]) -> None:
    """Do to a child what was done to its parent before it was known that it is its child."""
    after = _rebuilt(work, child, arrivals)
    if replace(after, event_at=child.event_at) != child:
        row = book.save(work.connection, child, after, now=work.now)
        work.applied.orders.append((row, "updated"))


def _rebuilt(work: SchedulingWork, order: Order, arrivals: Sequence[Arrival]) -> Order:
    """The order as all its messages make it.

    One without procedures waits for a merge, because its numbers are an order of another patient: it waits on.
    """
    if not order.procedures:
        return order
    return rebuilt_order(order, [*arrivals, *work.history(work.connection, order)]) or order
