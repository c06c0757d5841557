"""Answers about performed steps (MPPS)."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Finding, Moment
from gateway.records.performed_matching import Match
from gateway.records.performed_step import PerformedState


class PerformedStepLink(Answer):
    """A scheduled step that is performed."""

    order: int
    study_uid: str
    step_id: str
    match: Match = Field(description="What led to the scheduled step")


class JourneyPerformedStep(Answer):
    """A Modality Performed Procedure Step."""

    sop_uid: str
    state: PerformedState
    calling_ae: str
    accession: str = Field(description="As the modality states it")
    study_uids: list[str] = Field(description="As the modality states them")
    end_event: str = Field(
        description="What its end was to the scheduled steps: pps-complete, pps-discontinue, pps-wrong-entry, or empty"
    )
    begun_at: Moment = Field(description="By the modality's clock, where that can be believed")
    ended_at: Moment | None
    created_at: Moment
    updated_at: Moment
    links: list[PerformedStepLink] = Field(description="Empty: nothing that was ordered is known to be performed")
    findings: list[Finding] = Field(description="Deviations from the standard and from the order")
