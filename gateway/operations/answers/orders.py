"""Answers about orders, worklist items and messages."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Attributes, Finding, MayBePutAway, Moment, Text, Titles
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.message import MessageState
from gateway.records.step import StepState


class Patient(Answer):
    id: int
    patient_id: str
    issuer: str
    attributes: Attributes
    updated_at: Moment


class Step(Answer):
    """A Scheduled Procedure Step."""

    step_id: str
    state: StepState
    modality: str
    station_aes: Titles
    start_date: str
    start_time: str
    updated_at: Moment


class StepDetail(Step):
    attributes: Attributes


class Procedure(Answer):
    """A Requested Procedure."""

    requested_procedure_id: str
    study_uid: StudyInstanceUID
    attributes: Attributes
    steps: list[StepDetail]


class Order(Answer):
    """An Imaging Service Request."""

    id: int
    accession: AccessionNumber
    authority: str
    placer: str = Field(description="authority|number, or empty")
    filler: str = Field(description="authority|number, or empty")
    event_at: Moment = Field(description="Of the newest message applied")
    created_at: Moment
    updated_at: Moment
    attributes: Attributes
    patient: Patient | None = Field(description="null while only a cancel is known")
    procedures: list[Procedure]


class Orders(Answer):
    orders: list[Order]


class WorklistItem(Step):
    accession: AccessionNumber
    requested_procedure_id: str
    study_uid: StudyInstanceUID
    patient_id: str
    issuer: str
    patient: Attributes
    procedure: Attributes


class WorklistItems(Answer):
    items: list[WorklistItem]


class Message(MayBePutAway):
    """An HL7 message as it came and what became of it."""

    id: int
    received_at: Moment
    listener: str
    peer: str
    sender: str = Field(description="MSH-3|MSH-4")
    control_id: str = Field(description="MSH-10")
    type: str = Field(description="MSH-9 as TYPE^TRIGGER")
    state: MessageState
    ack_code: str = Field(description="MSA-1")
    cause: str = Field(description="Key of why it was not applied; empty: it was, or its type is not served")
    findings: list[Finding]


class Messages(Answer):
    messages: list[Message]
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class MessageOrder(Answer):
    row: int
    accession: AccessionNumber
    outcome: str = Field(description="`created`, `updated`, `stale`, ...")


class MessagePatient(Answer):
    row: int
    patient_id: str
    outcome: str = Field(description="As that of an order; empty: an order spoke of them")


class MessageDetail(Message):
    body: Text
    ack: Text
    orders: list[MessageOrder]
    patients: list[MessagePatient]


class Replayed(Answer):
    id: int
    ack_code: str
