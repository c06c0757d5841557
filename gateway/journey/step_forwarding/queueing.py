"""Puts what a modality has stated into the outbox, for each destination, in the transaction that keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from gateway.records.identifiers import StudyInstanceUID
from gateway.records.performed_step import PerformedStep, scheduled_items
from gateway.records.step_request import StepRequest
from gateway.records.work import Lane, Part, performed_steps_to
from gateway.store import outbox


def queue_request(
    connection: Connection,
    destinations: Sequence[str],
    step: PerformedStep,
    request: StepRequest,
    *,
    now: int,
) -> None:
    """Add a request of a modality for each destination, behind those of the same performed step."""
    studies = (item.study_uid for item in scheduled_items(step.attributes))
    subject = StudyInstanceUID(next(filter(None, studies), request.sop_uid))
    for name in destinations:
        lane = Lane(performed_steps_to(name), subject, Part.PERFORMED_STEP, request.sop_uid)
        outbox.enqueue(connection, lane=lane, payload=request.as_payload(), due_at=now, now=now)
