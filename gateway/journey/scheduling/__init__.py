"""Station `scheduling`: the effect of a message on the worklist. Runs inside the transaction of `order_intake`.

An order is what its messages say, applied in the order of their times (`records.order_book`); a patient is what the
weightiest and newest word says of each attribute (`records.patient`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.journey.scheduling import orders, patients
from gateway.journey.scheduling.applied import Applied, History, Policy, SchedulingWork
from gateway.journey.scheduling.arrivals import arrivals_of
from gateway.journey.scheduling.asking import asked_by
from gateway.journey.scheduling.order_lookup import find
from gateway.records.imaging_order import Order, Performed, Said
from gateway.records.order import NOT_IMAGING, OrderedProcedure
from gateway.records.order_matching import statements_about
from gateway.records.patient import PatientStatement
from gateway.records.work import REQUEST, Lane
from gateway.store import order_book, order_kin, outbox, performed_steps
from gateway.store import patients as patient_rows

__all__ = ["Applied", "History", "Policy", "apply", "asked_by", "find", "whole_history"]


def apply(
    connection: Connection,
    statements: Sequence[OrderedProcedure | PatientStatement],
    *,
    now: int,
    policy: Policy,
    history: History,
    again: bool = False,
) -> Applied:
    """Apply what one message states, all of it or none.

    `again`: see `SchedulingWork`.

    Raises `UnknownCode` (ORC-1), `UnknownKey` (no such order, or another patient's), `DuplicateKey` (a Study Instance
    UID or Patient ID that is another's), `Conflict` (the examination has begun).
    """
    before: list[OrderedProcedure] = []

    def with_earlier_groups(connection: Connection, order: Order) -> list[Said]:
        parents = order_kin.parents(connection, order) if before and order.is_part else ()
        earlier = statements_about(before, order, parents)
        return [*history(connection, order), *earlier, *_performed(connection, order)]

    work = SchedulingWork(connection, now, policy, with_earlier_groups, again)
    for statement in statements:
        if isinstance(statement, PatientStatement):
            patients.apply(work, statement)
        else:
            orders.apply(work, statement)
            before.append(statement)
    if policy.tell_orders:
        _tell(connection, work.applied, now)
    return work.applied


def whole_history(connection: Connection, order: Order, *, messages: History) -> list[Said]:
    """All that an order is made of: its messages, the arrivals of its patient, and what modalities did to its steps."""
    patient = None if order.patient is None else patient_rows.get(connection, order.patient)
    arrivals = [] if patient is None else arrivals_of(patient)
    return [*arrivals, *messages(connection, order), *_performed(connection, order)]


def _performed(connection: Connection, order: Order) -> list[Performed]:
    return [] if order.row is None else performed_steps.events_of(connection, order.row)


UNTOLD = frozenset({"ignored", NOT_IMAGING, "stale", "tombstone", "waiting"})
"""Outcomes of which an EHR would see nothing."""


def _tell(connection: Connection, applied: Applied, now: int) -> None:
    for row, outcome in dict(applied.orders).items():
        if row is not None and outcome not in UNTOLD and (uid := order_book.study_uid(connection, row)):
            outbox.postpone(connection, Lane(REQUEST, uid), due_at=now, now=now)
