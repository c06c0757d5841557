"""Answers about receivers: EHRs and destinations, their pauses and how much waits for them."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.receiver import ReceiverType
from gateway.store.waiting import MOST_COUNTED

_BOUNDED = f"At most {MOST_COUNTED} of each kind of work are counted"


class ReceiverPause(Answer):
    since: Moment
    person: str
    note: str


class SourceWatermark(Answer):
    """How far a source was listed."""

    reached: str = Field(description="A day, or the number of a change")
    target: str = Field(description="Up to where what is older is listed; empty: the source is listed up to now")
    is_behind: bool
    note: str = Field(description="What the source cannot do, and what follows from that; empty: nothing is known")


class SourceProgress(Answer):
    """How a source of studies was polled."""

    watermark: SourceWatermark
    polled_at: Moment | None = Field(description="When a poll came to its end last")
    failed_at: Moment | None = Field(description="Since when polls fail")
    error: str = Field(description="Why it failed; empty: the last poll came to its end")
    listed: int = Field(description="Studies in all answers")
    wanted: int = Field(description="Those of them that were new or changed")
    dropped: int = Field(description="Answers that were not asked for")


class ReceiverState(Answer):
    """An EHR, a destination or a source of studies, and the work that has it as its target."""

    name: str
    type: ReceiverType
    pause: ReceiverPause | None = Field(description="null: its work goes on")
    waiting: int = Field(description=f"Deliveries that are due now or later, or under way. {_BOUNDED}")
    oldest_at: Moment | None = Field(description="When the oldest of them was added")
    next_at: Moment | None = Field(description="When the next of them falls due")
    parked: int = Field(description=f"Parked or rejected. {_BOUNDED}")
    given_up: int = Field(description=f"Given up by a person. {_BOUNDED}")
    last_done_at: Moment | None = Field(description="When the newest delivery that is done was done")
    source: SourceProgress | None = Field(description="null: it is no source of studies")


class FeedState(Answer):
    """How far the resend of all that an EHR was sent has come."""

    ehr: str
    begun_at: Moment
    added: int = Field(description="Deliveries so far")
    finished: bool
    error: str = Field(description="Why it ended before its time; empty: it did not")


class Receivers(Answer):
    receivers: list[ReceiverState]
    feeds: list[FeedState] = Field(description="Resends of all that an EHR was sent, the last of each EHR")


class Resent(Answer):
    study_uid: str
    deliveries: int


class PauseChanged(Answer):
    """What came of a pause or its end."""

    receivers: list[str]
    paused: bool
    changed: list[str] = Field(description="Those of them that were not so already")

    def __str__(self) -> str:
        """For people."""
        state = "paused" if self.paused else "not paused"
        left = [f"{name} is {state} already" for name in self.receivers if name not in self.changed]
        done = [f"{name} is {state} now" for name in self.changed]
        return "; ".join([*done, *left]) or "no receiver is configured"
