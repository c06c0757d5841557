"""Scheduled steps moved by what a modality did to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection

from gateway.records.changing import with_changes
from gateway.records.imaging_order import Order, Performed, Said
from gateway.records.order_history import Performances, rebuilt_order, sort_key
from gateway.records.performed_matching import Candidate
from gateway.records.row_ids import OrderRow
from gateway.records.step import StepEvent
from gateway.store import order_book as book
from gateway.store import patients, performed_steps

WholeHistory = Callable[[Connection, Order], Sequence[Said]]
"""Messages of an order, arrivals of its patient, and what modalities did to its steps."""


def move(
    connection: Connection,
    orders: Iterable[Order],
    history: WholeHistory,
    sop_uid: str,
    event: StepEvent,
    *,
    now: int,
    known: Mapping[OrderRow, Sequence[Performed]],
    anew: bool = False,
) -> None:
    """Move the scheduled steps of the orders by an event of the performed step `sop_uid` that is kept already.

    An event that is newer than all else of an order is applied to the order as it stands; another is put in its place
    among the order's history. `known`: what modalities did to the steps of each order, with this event. `anew`: it
    takes the place of an earlier event of the same performed step.
    """
    for order in orders:
        assert order.row is not None
        events = known[order.row]
        if not anew and _is_newest(connection, order, events, sop_uid, event):
            after = _applied(order, [one for one in events if one.event is event])
            book.save(connection, order, after, now=now)
        else:
            rebuild(connection, order, history, now=now)


def with_begin(
    events: Mapping[OrderRow, Sequence[Performed]], sop_uid: str, at: int, links: Iterable[Candidate]
) -> dict[OrderRow, list[Performed]]:
    """What modalities did to the steps of each order, once the performed step `sop_uid` has begun with these links."""
    result = {order: list(of_order) for order, of_order in events.items()}
    for one in links:
        result[one.order].append(Performed(at, StepEvent.PPS_START, sop_uid, one.study_uid, one.step_id))
    return result


def with_end(events: Sequence[Performed], sop_uid: str, event: StepEvent, at: int) -> list[Performed]:
    """What modalities did to the steps of an order, once the performed step `sop_uid` has ended."""
    begun = [one for one in events if one.performed_step == sop_uid and one.event is StepEvent.PPS_START]
    return [*events, *(with_changes(one, event_at=at, event=event) for one in begun)]


def rebuild(connection: Connection, order: Order, history: WholeHistory, *, now: int) -> bool:
    """Bring an order to what its history makes of it; False when its messages cannot be read any more.

    That does not undo what a modality did: its events are then applied to the order as it stands.
    """
    assert order.row is not None
    rebuilt = rebuilt_order(order, history(connection, order))
    events = sorted(performed_steps.events_of(connection, order.row), key=sort_key) if rebuilt is None else ()
    book.save(connection, order, _applied(rebuilt or order, events), now=now)
    return rebuilt is not None


def _applied(order: Order, events: Iterable[Performed]) -> Order:
    performances = Performances()
    for event in events:
        order = performances.applied(order, event) or order
    return order


def _is_newest(
    connection: Connection, order: Order, events: Sequence[Performed], sop_uid: str, event: StepEvent
) -> bool:
    """Whether what comes of the event needs no knowledge of what was before: the order has no other performed step,
    and nothing else of it is newer."""
    if event is StepEvent.PPS_WRONG_ENTRY or any(one.performed_step != sop_uid for one in events):
        return False
    at = max(one.event_at for one in events)
    if at < max(order.event_at, order.performed_at):
        return False
    assert order.row is not None
    return all(at >= arrived for arrived, _ in patients.arrivals_of_order(connection, order.row))
