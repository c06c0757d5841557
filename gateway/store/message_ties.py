"""Of which orders and patients a message spoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, insert

from gateway.records.row_ids import MessageRow, OrderRow, PatientRow
from gateway.store.schema import order_messages, patient_messages
from gateway.store.statement import Statement


def tie(
    connection: Connection,
    message: MessageRow,
    outcomes: Mapping[OrderRow, str],
    patients: Mapping[PatientRow, str] | None = None,
) -> None:
    """Note of which orders and patients `message` spoke, and what came of each (`created`, `updated`, `stale`, ...)."""
    for order, outcome in outcomes.items():
        _TIE.add_later(connection, {"order": order, "message": message, "outcome": outcome})
    for patient, outcome in (patients or {}).items():
        _TIE_PATIENT.add_later(connection, {"patient": patient, "message": message, "outcome": outcome})


_TIE: Final = Statement(insert(order_messages), ("order", "message", "outcome"))
_TIE_PATIENT: Final = Statement(insert(patient_messages), ("patient", "message", "outcome"))


def untie(connection: Connection, message: MessageRow) -> None:
    """Forget what `message` did to orders and patients, before it is worked on again."""
    for table in (order_messages, patient_messages):
        connection.execute(delete(table).where(table.c.message == message))
