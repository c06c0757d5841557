"""The newest messages of an order and of a patient, as a status repeats what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, literal_column, select

from gateway.records.message import MessageState
from gateway.records.row_ids import OrderRow, PatientRow
from gateway.store.schema import messages, order_messages, patient_messages
from gateway.store.statement import Row, Statement

_NEWEST: Final = select(messages.c.received_at, messages.c.listener, messages.c.body).order_by(messages.c.id.desc())
_ORDERING: Final = Statement(
    _NEWEST.join(order_messages, order_messages.c.message == messages.c.id)
    .where(
        order_messages.c.order == bindparam("the_order"),
        messages.c.type.in_([literal_column(f"'{kind}'") for kind in ("ORM^O01", "OMG^O19", "OMI^O23")]),
        messages.c.state == literal_column(f"'{MessageState.APPLIED}'"),
        order_messages.c.outcome != literal_column("'stale'"),
    )
    .limit(literal_column("5"))
)
_OF_PATIENT: Final = Statement(
    _NEWEST.join(patient_messages, patient_messages.c.message == messages.c.id)
    .where(
        patient_messages.c.patient == bindparam("the_patient"),
        messages.c.state == literal_column(f"'{MessageState.APPLIED}'"),
    )
    .limit(literal_column("1"))
)


def ordering(connection: Connection, order: OrderRow) -> Sequence[Row]:
    """`received_at`, `listener` and `body` of the last messages that ordered or changed an order, newest first."""
    return _ORDERING.rows(connection, {"the_order": order})


def of_patient(connection: Connection, patient: PatientRow) -> Row | None:
    """The same of the newest message that spoke of a patient as such (ADT)."""
    return _OF_PATIENT.first(connection, {"the_patient": patient})
