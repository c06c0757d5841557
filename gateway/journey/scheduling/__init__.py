"""Station 2: what a message means for the worklist. Runs inside the transaction of station 1.

An order is what its messages say, applied in the order of their times (`records.order_book`); a patient is what the
weightiest and newest word says of each attribute (`records.patient`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.journey.scheduling import orders, patients
from gateway.journey.scheduling.applied import Applied, History, Policy
from gateway.records.order import OrderedProcedure
from gateway.records.order_book import Order, Said, said_of
from gateway.records.patient import PatientStatement

__all__ = ["Applied", "History", "Policy", "apply"]


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

    `again`: the message was applied before, and is to be applied with today's mappings in place of what it said then.

    Raises `UnknownCode` (ORC-1), `UnknownKey` (no such order, or another patient's), `DuplicateKey` (a Study Instance
    UID or Patient ID that is another's), `Conflict` (the examination has begun).
    """
    applied = Applied()
    before: list[OrderedProcedure] = []

    def told(connection: Connection, order: Order) -> list[Said]:
        """With what the parts of this message before the present one say of the order."""
        here = (said_of(one, order) for one in before if one.event is not None)
        return [*history(connection, order), *(one for one in here if one is not None)]

    for statement in statements:
        if isinstance(statement, PatientStatement):
            patients.apply(connection, statement, applied, now=now, history=told)
        else:
            orders.apply(connection, statement, applied, now=now, policy=policy, history=told, again=again)
            before.append(statement)
    return applied
