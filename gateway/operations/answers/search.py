"""Answers of a search: what was found, at most so many of each kind."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Finding, Moment
from gateway.operations.answers.orders import Step
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.lookup import MatchedOn
from gateway.records.message import MessageState


class OrderHit(Answer):
    id: int
    by: MatchedOn
    accession: AccessionNumber
    placer: str
    filler: str
    patient: int | None = Field(description="Row of the patient; null while only a cancel is known")
    patient_id: str
    patient_name: str
    study_uids: list[StudyInstanceUID]
    steps: list[Step]


class PatientHit(Answer):
    id: int = Field(description="Row of the patient to whom the identity leads today")
    by: MatchedOn
    patient_id: str
    issuer: str
    name: str
    birth_date: str
    former: list[str] = Field(description="Patient IDs that were merged into this patient")


class StudyHit(Answer):
    study_uid: StudyInstanceUID
    by: MatchedOn
    accession: AccessionNumber
    patient_id: str
    patient_name: str
    source_ae: str
    last_at: Moment
    is_withdrawn: bool


class MessageHit(Answer):
    id: int
    by: MatchedOn
    received_at: Moment
    listener: str
    type: str
    control_id: str
    state: MessageState
    ack_code: str
    findings: list[Finding]


class Hits(Answer):
    """What was found. With a filter of steps, orders alone."""

    orders: list[OrderHit]
    patients: list[PatientHit]
    studies: list[StudyHit]
    messages: list[MessageHit]
    more: dict[str, bool] = Field(description="Whether there is more of a kind than was listed")
    looked_at: int | None = Field(description="A filter looked at the newest so many steps, orders or messages alone")

    @property
    def count(self) -> int:
        return len(self.orders) + len(self.patients) + len(self.studies) + len(self.messages)
