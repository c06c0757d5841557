"""What is shown of an order, patient, study or message that was found; each list in the order of its ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from gateway.records.row_ids import MessageRow, OrderRow, PatientRow
from gateway.store import patients as patient_rows
from gateway.store.schema import messages, orders, patients, procedures, steps, studies

_ORDERS: Final = (
    select(
        orders.c.id, orders.c.accession, orders.c.placer, orders.c.filler, orders.c.patient, patients.c.patient_id,
        patients.c.attributes,
    )
    .outerjoin(patients, patients.c.id == orders.c.patient)
    .where(orders.c.id.in_(bindparam("rows", expanding=True)))
)  # fmt: skip
_STEPS: Final = (
    select(
        procedures.c.order, procedures.c.study_uid, steps.c.id, steps.c.step_id, steps.c.state, steps.c.modality,
        steps.c.station_ae, steps.c.start_date, steps.c.start_time, steps.c.updated_at,
    )
    .outerjoin(steps, steps.c.procedure == procedures.c.id)
    .where(procedures.c.order.in_(bindparam("rows", expanding=True)))
    .order_by(procedures.c.id, steps.c.id)
)  # fmt: skip
_PATIENTS: Final = select(patients).where(patients.c.id.in_(bindparam("rows", expanding=True)))
_STUDIES: Final = select(
    studies.c.id, studies.c.study_uid, studies.c.accession, studies.c.patient_id, studies.c.source_ae,
    studies.c.last_at, studies.c.withdrawn_at, studies.c.attributes,
).where(studies.c.id.in_(bindparam("rows", expanding=True)))  # fmt: skip
_MESSAGES: Final = select(
    messages.c.id, messages.c.received_at, messages.c.listener, messages.c.type, messages.c.control_id,
    messages.c.state, messages.c.ack_code, messages.c.findings,
).where(messages.c.id.in_(bindparam("rows", expanding=True)))  # fmt: skip


def order_rows(connection: Connection, rows: Sequence[OrderRow]) -> list[dict[str, Any]]:
    """Each with its patient's ID and attributes, `study_uids` and `steps`."""
    found = {row["id"]: {**row, "study_uids": [], "steps": []} for row in _rows(connection, _ORDERS, rows)}
    for step in _rows(connection, _STEPS, rows):
        order = found[step["order"]]
        if step["study_uid"] not in order["study_uids"]:
            order["study_uids"].append(step["study_uid"])
        if step["id"] is not None:
            order["steps"].append(step)
    return [found[row] for row in rows if row in found]


def patients_today(connection: Connection, rows: Sequence[PatientRow]) -> list[dict[str, Any]]:
    """The patients to whom these rows lead, each once."""
    today: dict[int, dict[str, Any]] = {}
    for row in _in_order(_rows(connection, _PATIENTS, rows), rows):
        survivor = patient_rows.survivor(connection, row)
        today.setdefault(survivor["id"], dict(survivor))
    return list(today.values())


def study_rows(connection: Connection, rows: Sequence[int]) -> list[dict[str, Any]]:
    return _in_order(_rows(connection, _STUDIES, rows), rows)


def message_rows(connection: Connection, rows: Sequence[MessageRow]) -> list[dict[str, Any]]:
    return _in_order(_rows(connection, _MESSAGES, rows), rows)


def _rows(connection: Connection, statement: Any, rows: Sequence[int]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement, {"rows": list(rows)}).mappings()] if rows else []


def _in_order(found: Sequence[dict[str, Any]], rows: Sequence[int]) -> list[dict[str, Any]]:
    by_id = {row["id"]: row for row in found}
    return [by_id[row] for row in rows if row in by_id]
