"""Answers about studies and their orders: what differs, what persons released, links that persons made."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.link_change import LinkAction
from gateway.records.order_check import Check, CheckPolicy, FoundConflict, OrderStanding, StudyLink


class ReleasedBy(Answer):
    person: str
    reason: str
    at: Moment


class OrderConflict(Answer):
    check: Check = Field(description="What differs")
    policy: CheckPolicy
    order: int = Field(description="Id of the order")
    images: str = Field(description="As the images have it")
    ordered: str = Field(description="As the order has it")
    since: Moment
    ended_at: Moment | None = Field(description="When it was not so any more; null: it is so")
    released: ReleasedBy | None = Field(description="Who lets the study be delivered in spite of it; null: nobody")

    @classmethod
    def of(cls, found: FoundConflict) -> OrderConflict:
        """The answer about a conflict."""
        one = found.conflict
        return cls.model_validate(
            {
                "check": one.check, "policy": found.policy, "order": one.order, "images": one.images,
                "ordered": one.ordered, "since": found.since, "ended_at": found.ended_at, "released": found.released,
            },
            from_attributes=True,
        )  # fmt: skip


class OrderLink(Answer):
    order: int = Field(description="Id of the order")
    is_linked: bool = Field(description="false: a person took it away; no number leads to it any more")
    person: str
    reason: str
    changed_at: Moment

    @classmethod
    def of(cls, link: StudyLink) -> OrderLink:
        """The answer about a link."""
        return cls.model_validate(link, from_attributes=True)


class StudyReleased(Answer):
    study_uid: StudyInstanceUID
    released: list[OrderConflict] = Field(description="What held it; empty: nothing did, and nothing was done")

    def __str__(self) -> str:
        names = ", ".join(dict.fromkeys(one.check.value.replace("_", " ") for one in self.released))
        done = f"is released, although these differ: {names}" if names else "is not held, nothing was done"
        return f"study {self.study_uid} {done}"


class StudyLinkOutcome(Answer):
    study_uid: StudyInstanceUID
    action: LinkAction
    order: int
    accession: str
    changed: bool = Field(description="false: it was so already, and nothing was done")

    def __str__(self) -> str:
        how = "linked with" if self.action is LinkAction.LINK else "no longer linked with"
        already = "" if self.changed else " already, nothing was done"
        return f"study {self.study_uid} is {how} order {self.order}{already}"


class OpenStudy(Answer):
    """A study without an order, or of which its order states something else."""

    study_uid: StudyInstanceUID
    accession: str
    patient_id: str
    patient_name: str
    source_ae: str
    last_at: Moment
    order_standing: OrderStanding
    conflicts: list[OrderConflict] = Field(description="What differs now")
