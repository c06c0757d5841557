"""What the API answers: one model per JSON object. The OpenAPI document is made from these.

Models are filled from rows of the store: columns they do not name stay inside. Times are ISO 8601 in UTC; DICOM
dates, times and UIDs are as in DICOM (DA, TM, UI of PS3.5 6.2).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.records.delivery import WorkState
from gateway.records.step import StepState


def iso(micros: int) -> str:
    """Microseconds since 1970 UTC -> `2026-01-05T09:30:00.000000Z`."""
    seconds, rest = divmod(micros, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def _iso(value: Any) -> Any:
    return iso(value) if isinstance(value, int) else value


Moment = Annotated[
    str,
    BeforeValidator(_iso),
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", json_schema_extra={"format": "date-time"}),
]
Attributes = Annotated[dict[str, Any], Field(description="DICOM keyword -> value, values or items")]
Titles = Annotated[
    list[str],
    BeforeValidator(lambda value: [one for one in value.split("\\") if one] if isinstance(value, str) else value),
    Field(validation_alias="station_ae", description="Scheduled Station AE Titles; empty: every station"),
]


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Problem(Answer):
    message: str
    place: str = Field(description="Where: a parameter, a delivery, a component; may be empty")


class Failure(Answer):
    """What every answer of status 400 and above holds."""

    error: Problem


class Live(Answer):
    status: Literal["live"] = "live"


class ComponentState(Answer):
    ok: bool
    detail: str


class Ready(Answer):
    status: Literal["ready", "not ready"]
    components: dict[str, ComponentState]


class Patient(Answer):
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
    study_uid: str
    attributes: Attributes
    steps: list[StepDetail]


class Order(Answer):
    """An Imaging Service Request."""

    id: int
    accession: str
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
    accession: str
    requested_procedure_id: str
    study_uid: str
    patient_id: str
    issuer: str
    patient: Attributes
    procedure: Attributes


class WorklistItems(Answer):
    items: list[WorklistItem]


class Finding(Answer):
    place: str
    text: str


class Message(Answer):
    """An HL7 message as it came and what became of it."""

    id: int
    received_at: Moment
    listener: str
    peer: str
    sender: str = Field(description="MSH-3|MSH-4")
    control_id: str = Field(description="MSH-10")
    type: str = Field(description="MSH-9 as TYPE^TRIGGER")
    state: str
    ack_code: str = Field(description="MSA-1")
    findings: list[Finding]


class Messages(Answer):
    messages: list[Message]
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class Text(Answer):
    encoding: Literal["utf-8", "latin-1"] = Field(description="How the bytes were read for display")
    segments: list[str]


class MessageDetail(Message):
    body: Text
    ack: Text


class Replayed(Answer):
    id: int
    ack_code: str


class Delivery(Answer):
    """A row of the outbox."""

    id: int
    kind: str = Field(description="`settle`, or `ehr:` and the EHR's name")
    lane: str
    study_uid: str = Field(validation_alias="subject")
    state: WorkState
    due_at: Moment
    attempts: int
    created_at: Moment
    finished_at: Moment | None
    outcome: dict[str, Any] | None = Field(description="Of the last try: error and place, or status, id and version")


class Deliveries(Answer):
    deliveries: list[Delivery]
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class Cause(Answer):
    """Work that is parked or rejected for one cause."""

    key: str = Field(description="The same for the same cause")
    kind: str = Field(description="`settle`, or `ehr:` and the EHR's name")
    text: str = Field(description="The error, without what differs from study to study")
    count: int
    first_at: Moment
    last_at: Moment
    example: int = Field(description="Id of the newest delivery")
    outcome: dict[str, Any] | None = Field(description="Of the newest")


class Causes(Answer):
    causes: list[Cause]


class RetriedCause(Answer):
    key: str
    retried: list[int]
    left: int = Field(description="So many of this cause were overtaken by later work on their study, and stay")


class Retried(Answer):
    id: int
    state: Literal["pending"] = "pending"


class Refusal(Answer):
    """What arrived and could not be read at all."""

    id: int
    refused_at: Moment
    source: str
    reason: str
    bytes: int


class Refusals(Answer):
    refusals: list[Refusal]


class Study(Answer):
    study_uid: str
    accession: str
    patient_id: str
    patient_issuer: str
    source_ae: str
    revision: int = Field(description="Counts what changed")
    settled_revision: int = Field(description="The revision that was last turned into deliveries")
    first_at: Moment
    last_at: Moment
    settled_at: Moment | None
    withdrawn_at: Moment | None = Field(description="When a person said that it is in error; null: it counts")
    series_count: int
    instance_count: int


class Instance(Answer):
    sop_uid: str
    sop_class_uid: str
    attributes: Attributes


class Series(Answer):
    series_uid: str
    attributes: Attributes
    instances: list[Instance]


class LinkedOrder(Answer):
    id: int
    accession: str
    authority: str
    placer: str
    filler: str


class StudyDetail(Study):
    attributes: Attributes
    series: list[Series]
    orders: list[LinkedOrder]
    deliveries: list[Delivery]


class JourneyMessage(Answer):
    id: int
    order: int
    received_at: Moment
    listener: str
    type: str
    control_id: str
    ack_code: str
    findings: list[Finding]
    outcome: str = Field(description="What it did to the order: created, updated, stale, tombstone")


class JourneyStep(Step):
    order: int
    requested_procedure_id: str
    study_uid: str


class Asker(Answer):
    """A scanner that was told of the steps."""

    calling_ae: str
    first_at: Moment
    last_at: Moment
    times: int


class JourneyStudy(Study):
    tied_by: Literal["study_uid", "accession"]
    linked: bool = Field(description="false: the accession number is the same, the patient or the order is not")


class Event(Answer):
    at: Moment
    station: str
    text: str


class StepWhy(Answer):
    step_id: str
    state: str
    stations: str = Field(description="AE titles joined by a backslash; empty: every station's")
    start: str
    reasons: list[str] = Field(description="What keeps it off the scanner; empty: it is shown")
    told_at: Moment | None


class Why(Answer):
    accession: str
    station: str
    asked_at: Moment | None = Field(description="When the scanner last asked, as far back as queries are kept")
    answers: int = Field(description="How many steps it was told then")
    status: int = Field(description="Status (0000,0900) of the last answer")
    keys: dict[str, Any]
    steps: list[StepWhy]
    remarks: list[str]


class Journey(Answer):
    accession: str
    orders: list[Order]
    messages: list[JourneyMessage]
    steps: list[JourneyStep]
    worklist: list[Asker]
    studies: list[JourneyStudy]
    deliveries: list[Delivery]
    events: list[Event] = Field(description="All of it by time, for people")
