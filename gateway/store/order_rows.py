"""An order, its procedures and its steps as rows hold them, and what such rows hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.records.imaging_order import Order, Procedure, Step
from gateway.records.order import Attributes, Number
from gateway.records.step import StepState
from gateway.store.statement import Row


def order_of(row: Row, procedures: Sequence[Procedure]) -> Order:
    return Order(
        authority=row["authority"],
        sender=row["sender"],
        placer=Number(row["placer"], row["placer_authority"]),
        filler=Number(row["filler"], row["filler_authority"]),
        parent=row["parent"],
        parent_filler=row["parent_filler"],
        study_uid=row["study_uid"],
        attributes=row["attributes"],
        event_at=row["event_at"],
        moved_at=row["moved_at"],
        performed_at=row["performed_at"],
        procedures=tuple(procedures),
        patient=row["patient"],
        row=row["id"],
    )


def procedure_of(row: Row, steps: Sequence[Step]) -> Procedure:
    return Procedure(
        attributes=row["attributes"],
        derived=frozenset(row["derived"]),
        event_at=row["event_at"],
        steps=tuple(steps),
        row=row["id"],
    )


def step_of(row: Row) -> Step:
    return Step(
        step_id=row["step_id"],
        state=StepState(row["state"]),
        attributes=row["attributes"],
        derived=bool(row["derived"]),
        row=row["id"],
    )


def order_columns(order: Order) -> dict[str, Any]:
    """Without its key and the times of writing; so are those of procedures and steps."""
    return {
        "patient": order.patient,
        "authority": order.authority,
        "accession": order.accession_number,
        "sender": order.sender,
        "placer": order.placer.value,
        "placer_authority": order.placer.authority,
        "filler": order.filler.value,
        "filler_authority": order.filler.authority,
        "parent": order.parent,
        "parent_filler": order.parent_filler,
        "study_uid": order.study_uid,
        "attributes": order.attributes,
        "event_at": order.event_at,
        "moved_at": order.moved_at,
        "performed_at": order.performed_at,
    }


def procedure_columns(procedure: Procedure) -> dict[str, Any]:
    return {
        "requested_procedure_id": str(procedure.attributes["RequestedProcedureID"]),
        "study_uid": procedure.study_uid,
        "attributes": procedure.attributes,
        "derived": sorted(procedure.derived),
        "event_at": procedure.event_at,
    }


def step_columns(step: Step) -> dict[str, Any]:
    attributes: Attributes = step.attributes
    stations = attributes.get("ScheduledStationAETitle") or []
    return {
        "step_id": step.step_id,
        "state": step.state.value,
        "modality": str(attributes.get("Modality") or ""),
        "station_ae": "\\".join([stations] if isinstance(stations, str) else stations),
        "start_date": str(attributes.get("ScheduledProcedureStepStartDate") or ""),
        "start_time": str(attributes.get("ScheduledProcedureStepStartTime") or ""),
        "attributes": attributes,
        "derived": ["ScheduledProcedureStepID"] if step.derived else [],
    }
