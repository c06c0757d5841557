"""Answers about a journey: events, and why a scanner does not see an order."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gateway.operations.answers.answer import Answer, Finding, Moment
from gateway.operations.answers.availability import JourneyNotification
from gateway.operations.answers.orders import Order, Step
from gateway.operations.answers.performed_steps import JourneyPerformedStep, SuggestedStep
from gateway.operations.answers.studies import JourneyDelivery, Study
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.records.message import MessageState


class JourneyMessage(Answer):
    id: int
    order: int | None = Field(description="null: it led to no order; the journey has a number that it holds")
    received_at: Moment
    listener: str
    type: str
    control_id: str
    state: MessageState
    ack_code: str
    findings: list[Finding]
    outcome: str = Field(description="What it did to the order: created, updated, stale, tombstone, not applied")


class JourneyStep(Step):
    order: int
    requested_procedure_id: str
    study_uid: StudyInstanceUID


class ScannerQueries(Answer):
    """A scanner whose queries were answered with the steps."""

    calling_ae: str
    first_at: Moment
    last_at: Moment
    times: int


class JourneyStudy(Study):
    tied_by: Literal["study_uid", "accession", "patient"]
    linked: bool = Field(description="false: the accession number is the same, the patient or the order is not")


Level = Literal["", "good", "warn", "bad"]


class Event(Answer):
    at: Moment
    station: str
    text: str
    level: Level = Field(default="", description="good: done; warn: went wrong once; bad: stays so without a person")
    message: int | None = Field(default=None, description="Id of the message that it is about")
    delivery: int | None = Field(default=None, description="Id of the delivery that it is about")


class StepWhy(Answer):
    accession: AccessionNumber
    study_uid: StudyInstanceUID
    patient_id: str
    patient_name: str
    step_id: str
    state: str
    stations: str = Field(description="AE titles joined by a backslash; empty: every station's")
    start: str
    reasons: list[str] = Field(description="What keeps it off the scanner; empty: it is shown")
    told_at: Moment | None


class Why(Answer):
    accession: AccessionNumber = Field(description="Of the orders; the number asked for, where there is none")
    station: str
    asked_at: Moment | None = Field(description="When the scanner last asked, as far back as queries are kept")
    answers: int = Field(description="How many steps it was answered then")
    status: int = Field(description="Status (0000,0900) of the last answer")
    keys: dict[str, Any]
    steps: list[StepWhy]
    remarks: list[str]


class Journey(Answer):
    accession: AccessionNumber = Field(description="Empty where it is the journey of a patient, or of several orders")
    orders: list[Order]
    messages: list[JourneyMessage]
    messages_cut: bool = Field(description="There are more messages of an order or patient than are listed")
    steps: list[JourneyStep]
    worklist: list[ScannerQueries]
    performed_steps: list[JourneyPerformedStep] = Field(description="Linked to the orders, or of the accession number")
    suggestions: list[SuggestedStep] = Field(
        description="Performed steps that are linked to nothing and may carry out a step of these orders"
    )
    studies: list[JourneyStudy]
    notifications: list[JourneyNotification] = Field(description="Of archives about these studies, the oldest first")
    deliveries: list[JourneyDelivery]
    events: list[Event] = Field(description="All of it by time, for people")
