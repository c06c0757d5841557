"""Station 2: what a message means for the worklist. Runs inside the transaction of station 1.

An order is what its messages say, applied in the order of their times (`records.order_book`); a patient is what the
weightiest and newest word says of each attribute (`records.patient`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.journey.scheduling import orders, patients
from gateway.journey.scheduling.applied import Applied, History, Policy, Work
from gateway.records.order import OrderedProcedure
from gateway.records.order_book import Order, Said, said_by
from gateway.records.patient import PatientStatement

find = orders.find

__all__ = ["Applied", "History", "Policy", "apply", "find"]


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

    `again`: see `Work`.

    Raises `UnknownCode` (ORC-1), `UnknownKey` (no such order, or another patient's), `DuplicateKey` (a Study Instance
    UID or Patient ID that is another's), `Conflict` (the examination has begun).
    """
    before: list[OrderedProcedure] = []

    def told(connection: Connection, order: Order) -> list[Said]:
        return [*history(connection, order), *said_by(before, order)]

    work = Work(connection, now, policy, told, again)
    for statement in statements:
        if isinstance(statement, PatientStatement):
            patients.apply(work, statement)
        else:
            orders.apply(work, statement)
            before.append(statement)
    return work.applied
