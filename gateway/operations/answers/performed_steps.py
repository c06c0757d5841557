"""Answers about performed steps (MPPS)."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Finding, Moment
from gateway.records.identifiers import AccessionNumber
from gateway.records.link_change import LinkAction
from gateway.records.performed_matching import MatchedBy
from gateway.records.performed_step import PerformedState
from gateway.records.step import StepState


class PerformedStepLink(Answer):
    """A scheduled step that is performed."""

    order: int
    study_uid: str
    step_id: str
    match: MatchedBy = Field(description="What led to the scheduled step")


class LinkChanged(Answer):
    """What a person did to a link of a performed step."""

    sop_uid: str
    action: LinkAction
    order: int
    study_uid: str
    step_id: str
    person: str
    reason: str
    changed_at: Moment


class JourneyPerformedStep(Answer):
    """A Modality Performed Procedure Step."""

    sop_uid: str
    state: PerformedState
    calling_ae: str
    accession: str = Field(description="As the modality states it")
    study_uids: list[str] = Field(description="As the modality states them")
    end_event: str = Field(
        description="What its end was to the scheduled steps: "
        "pps-complete, pps-discontinue, pps-wrong-entry, pps-silent, or empty"
    )
    begun_at: Moment = Field(description="By the modality's clock, where that can be believed")
    ended_at: Moment | None
    created_at: Moment
    updated_at: Moment
    silent_at: Moment | None = Field(description="When it was noticed that it gives no sign of life")
    named: int = Field(description="Instances that the modality names")
    missing: list[str] = Field(description="SOP Instance UIDs of those that have not arrived, at most 20")
    arrived: int = Field(description="Instances that the modality names and that have arrived")
    links: list[PerformedStepLink] = Field(description="Empty: nothing that was ordered is known to be performed")
    changes: list[LinkChanged] = Field(description="What persons did to the links, the oldest first")
    findings: list[Finding] = Field(description="Deviations from the standard and from the order")


class Suggestion(Answer):
    """A scheduled step that an unlinked performed step may carry out. A person decides."""

    order: int
    accession: AccessionNumber
    study_uid: str
    step_id: str
    state: StepState
    score: int = Field(description="The sum of what each reason weighs")
    reasons: list[str]


class SilentStep(Answer):
    """A performed step in progress, without N-SET and images for longer than the site allows its modality."""

    sop_uid: str
    calling_ae: str
    accession: str = Field(description="As the modality states it")
    begun_at: Moment
    updated_at: Moment = Field(description="Of the modality's last request")
    silent_at: Moment = Field(description="When it was noticed")
    end_event: str = Field(description="`pps-silent`: the site's rule has ended its scheduled steps; else empty")


class SilentSteps(Answer):
    performed_steps: list[SilentStep] = Field(description="The newest first")


class UnlinkedStep(Answer):
    """A performed step of which nothing that was ordered is known to be performed, or not all of it."""

    sop_uid: str
    state: PerformedState
    calling_ae: str
    modality: str
    patient_id: str
    accession: str = Field(description="As the modality states it")
    begun_at: Moment
    findings: list[Finding]
    suggestions: list[Suggestion] = Field(description="The likeliest first")


class UnlinkedSteps(Answer):
    performed_steps: list[UnlinkedStep] = Field(description="The newest first")


class SuggestedStep(Answer):
    """An unlinked performed step that a step of the order may be carried out by."""

    sop_uid: str
    calling_ae: str
    begun_at: Moment
    suggestion: Suggestion


class LinkOutcome(LinkChanged):
    changed: bool = Field(description="false: it was so already, and nothing was done")

    def __str__(self) -> str:
        """For people."""
        if not self.changed:
            return f"{self.sop_uid} is linked to step {self.step_id} of order {self.order} already, nothing was done"
        done = "is linked to" if self.action is LinkAction.LINK else "is no longer linked to"
        return f"{self.sop_uid} {done} step {self.step_id} of order {self.order}"
