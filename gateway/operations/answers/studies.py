"""Answers about studies and deliveries."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from gateway.errors import Fate
from gateway.operations.answers.answer import Answer, Attributes, Finding, Moment
from gateway.operations.answers.completeness import Completeness, StatedOfStudy
from gateway.operations.answers.exclusions import StudyExclusion
from gateway.operations.answers.order_meeting import OrderConflict, OrderLink
from gateway.records.ehr_standing import EhrStanding
from gateway.records.identifiers import AccessionNumber, SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.order_check import OrderStanding
from gateway.records.work import WorkState


class Delivery(Answer):
    """A row of the outbox."""

    id: int
    kind: str = Field(
        description="`settle`, or `ehr:` and an EHR's name, or `status:`, `mpps:` ... and a destination's"
    )
    lane: str
    study_uid: StudyInstanceUID = Field(validation_alias="subject")
    state: WorkState
    due_at: Moment
    attempts: int
    created_at: Moment
    finished_at: Moment | None
    outcome: dict[str, Any] | None = Field(description="Of the last try: error and place, or status, id and version")


class Try(Answer):
    """A try that failed."""

    attempt: int = Field(description="From 1")
    failed_at: Moment
    fate: Fate = Field(description="What followed: tried again, parked or rejected")
    outcome: dict[str, Any] = Field(description="error and place")


class JourneyDelivery(Delivery):
    """A row of the outbox with the tries that failed."""

    tries: list[Try] = Field(description="The last 20 that failed, the oldest first; none is kept from before 0024")


class Deliveries(Answer):
    deliveries: list[Delivery]
    count: int = Field(description="Of all that was asked for, on whatever page")
    is_whole: bool = Field(description="false: there are more than `count`")
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class Cause(Answer):
    """Work that is parked or rejected for one cause."""

    key: str = Field(description="The same for the same cause")
    kind: str = Field(
        description="`settle`, or `ehr:` and an EHR's name, or `status:`, `mpps:` ... and a destination's"
    )
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


class GivenUp(Answer):
    given_up: list[int] = Field(description="Ids of the deliveries")
    left: int = Field(description="So many of this cause stay")


class RetriedReceiver(Answer):
    name: str
    retried: int
    left: int = Field(description="So many were overtaken by later work on their study, and stay")


class Retried(Answer):
    id: int
    state: Literal["pending"] = "pending"


class ImagesAtDestination(Answer):
    """How the instances of a study stand at a destination that gets them."""

    destination: str
    sent: int = Field(description="The destination has confirmed them")
    waiting: int
    failed: int = Field(description="Parked: a person must decide")
    given_up: int
    last_at: Moment | None = Field(description="When the last answer came; null: none has")
    corrected: dict[str, int] = Field(
        description="Keyword of an attribute -> so many instances were sent with another value than they came"
    )


class InstancesOfOther(Answer):
    """Instances that are kept in one study and count in another, as an archive changed their UIDs."""

    study_uid: StudyInstanceUID = Field(description="The other study; the same: they got other UIDs within the study")
    instances: int
    at: Moment = Field(description="When the last was known to be")


class Study(Answer):
    study_uid: StudyInstanceUID
    accession: AccessionNumber
    patient_id: str
    patient_issuer: str
    source_ae: str
    revision: int = Field(description="Counts what changed")
    settled_revision: int = Field(description="The revision that was last turned into deliveries")
    first_at: Moment
    last_at: Moment
    settled_at: Moment | None
    settled_because: Completeness | None = Field(description="Why it settled last; null where that is not known")
    waits_because: Completeness | None = Field(description="Why it does not settle yet; null: nothing new waits")
    withdrawn_at: Moment | None = Field(description="When a person withdrew it as entered in error; null: it counts")
    withdrawn_by: str = Field(description="Who withdrew it; may be empty")
    withdrawn_reason: str = Field(description="Why, in the person's words; may be empty")
    series_count: int
    instance_count: int
    findings: list[Finding] = Field(
        description="What its resources do not say, as it settled last (else what was odd when it arrived), "
        "and UIDs that other studies have too"
    )
    order_standing: OrderStanding = Field(description="With its orders, as it was looked at last; empty: not yet")
    conflicts: list[OrderConflict] = Field(
        description="What its images and an order state differently, the oldest first; those that have ended as well"
    )
    images: list[ImagesAtDestination] = Field(description="At each destination that gets instances of it")
    moved_to: list[InstancesOfOther] = Field(description="Studies of which instances that are kept in it are now")
    taken_over: list[InstancesOfOther] = Field(description="Studies whose instances are of it now")


class ListedStudy(Answer):
    id: int
    study_uid: StudyInstanceUID
    accession: AccessionNumber
    patient_id: str
    patient_issuer: str
    patient_name: str
    description: str
    study_date: str = Field(description="DA")
    source_ae: str
    last_at: Moment
    withdrawn_at: Moment | None
    standing: EhrStanding
    order_standing: OrderStanding = Field(description="With its orders, as it was looked at last; empty: not yet")
    ehrs: dict[str, WorkState] = Field(description="EHR -> its newest delivery; settle: the look at the study, if due")


class StudyList(Answer):
    studies: list[ListedStudy]
    total: int = Field(description="So many there are, as far as they were counted")
    is_more: bool = Field(description="There are more than `total`")
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class Withdrawn(Answer):
    """What came of a withdrawal, or of its way back."""

    study_uid: StudyInstanceUID
    withdrawn_at: Moment | None = Field(description="null: the study counts")
    changed: bool = Field(description="false: it was so already, and nothing was done")
    deliveries: int = Field(description="How many follow when the study is looked at")


class Instance(Answer):
    sop_uid: SOPInstanceUID
    sop_class_uid: str
    attributes: Attributes


class Series(Answer):
    series_uid: SeriesInstanceUID
    attributes: Attributes
    instances: list[Instance]


class LinkedOrder(Answer):
    id: int
    accession: AccessionNumber
    authority: str
    placer: str
    filler: str


class StudyDetail(Study):
    exclusions: list[StudyExclusion] = Field(
        description="Series and instances that persons excluded, the oldest first; those taken back as well"
    )
    evidence: list[StatedOfStudy] = Field(description="What is stated of how much it holds, in the order it came")
    attributes: Attributes
    series: list[Series]
    orders: list[LinkedOrder]
    links: list[OrderLink] = Field(description="Orders that persons linked with it or took away, the oldest first")
    deliveries: list[JourneyDelivery]
