"""Performed steps as people see them: as values, and as events of a journey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from gateway.operations.answers.answer import listed
from gateway.operations.answers.journey import Event
from gateway.operations.answers.performed_steps import JourneyPerformedStep
from gateway.records.identifiers import AccessionNumber
from gateway.records.link_change import LinkAction
from gateway.records.named_instances import named_instances
from gateway.records.order import Attributes
from gateway.records.performed_step import scheduled_items
from gateway.records.row_ids import OrderRow
from gateway.records.step import StepEvent
from gateway.store import performed_steps, studies

MOST_MISSING: Final = 20
"""UIDs that are listed."""


def of_journey(
    connection: Connection, accession_number: AccessionNumber, orders: Sequence[OrderRow]
) -> list[JourneyPerformedStep]:
    """The performed steps that are linked to the orders, or state the accession number."""
    rows = performed_steps.of_journey(connection, accession_number=accession_number, orders=list(orders))
    return [
        JourneyPerformedStep.model_validate(
            {**row, "study_uids": (uids := _study_uids(row["attributes"])), **_evidence(connection, row, uids)}
        )
        for row in rows
    ]


def _evidence(connection: Connection, row: Mapping[str, Any], study_uids: Sequence[str]) -> dict[str, Any]:
    """Which of the instances that the modality names have arrived."""
    named = named_instances(row["attributes"])
    arrived = studies.arrived(connection, study_uids) if named else set()
    missing = [uid for uid in named if uid not in arrived]
    return {"named": len(named), "arrived": len(named) - len(missing), "missing": missing[:MOST_MISSING]}


def _counted(step: JourneyPerformedStep) -> str:
    if not step.named:
        return ""
    missing = f", missing: {', '.join(step.missing)}" if step.missing else ""
    more = step.named - step.arrived - len(step.missing)
    return f"; named by MPPS: {step.named}, arrived: {step.arrived}{missing}" + (f" and {more} more" if more else "")


def _study_uids(attributes: Attributes) -> list[str]:
    return list(dict.fromkeys(item.study_uid for item in scheduled_items(attributes) if item.study_uid))


def events_of(step: JourneyPerformedStep) -> Iterator[Event]:
    """What a modality reported of a performed step, at the times at which the gateway received it."""
    linked = ", ".join(f"step {link.step_id} (by {link.match})" for link in step.links) or "no scheduled step"
    text = f"{step.calling_ae} began an examination of {linked}{listed(step.findings)}"
    yield Event(at=step.created_at, station="performed_step", text=text)
    if step.silent_at is not None:
        ended = "; its scheduled steps are ended by rule" if step.end_event == StepEvent.PPS_SILENT else ""
        text = f"no sign of life of the examination by {step.calling_ae}{ended}"
        yield Event(at=step.silent_at, station="performed_step", text=text)
    if step.ended_at is not None and step.end_event != StepEvent.PPS_SILENT:
        why = ", the wrong worklist entry was chosen" if step.end_event == StepEvent.PPS_WRONG_ENTRY else ""
        text = f"{step.calling_ae} ended it: {step.state}{why}{_counted(step)}"
        yield Event(at=step.updated_at, station="performed_step", text=text)
    for change in step.changes:
        done = "linked to" if change.action is LinkAction.LINK else "no longer linked to"
        why = f": {change.reason}" if change.reason else ""
        text = f"examination by {step.calling_ae} {done} step {change.step_id} by {change.person}{why}"
        yield Event(at=change.changed_at, station="performed_step", text=text)
