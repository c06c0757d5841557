"""Answers about Instance Availability Notifications."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Finding, Moment


class JourneyNotification(Answer):
    """What an archive has stated about the instances of a study."""

    sop_uid: str
    study_uid: str
    calling_ae: str
    received_at: Moment
    named: int = Field(description="Instances that the notification names")
    availability: dict[str, int] = Field(description="Instance Availability -> how many instances have it")
    retrieve_aes: list[str] = Field(description="AE titles from which the instances can be retrieved")
    performed_steps: list[str] = Field(description="SOP Instance UIDs of the performed steps that it names")
    arrived: int = Field(description="Instances that are named and have arrived here")
    missing: list[str] = Field(description="SOP Instance UIDs of those that have not arrived, at most 20")
    findings: list[Finding] = Field(description="Deviations from the standard")
