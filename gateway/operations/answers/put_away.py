"""Answers about what was not applied or could not be read: its causes, and putting it away."""

from __future__ import annotations

from pydantic import Field

from gateway.operations.answers.answer import Answer, Moment
from gateway.records.put_away import Kind


class OpenCause(Answer):
    """What calls for a person for one cause."""

    key: str
    kind: Kind = Field(description="m: messages that were not applied; r: what arrived unreadable")
    text: str
    count: int
    first_at: Moment
    last_at: Moment
    newest: int = Field(description="Id of the newest")
    type: str = Field(description="MSH-9 of the newest message")
    listener: str = Field(description="Of the newest message")


class OpenCauses(Answer):
    causes: list[OpenCause]
    more_causes: int
    messages: int = Field(description="Messages that call for a person, as far as they were counted")
    is_whole: bool = Field(description="Whether there are no more than that")
    refusals: int


class PutAwayNumber(Answer):
    count: int


class RepeatedCause(Answer):
    """Messages of a cause that were worked on again."""

    key: str
    applied: int
    failed: int = Field(description="Messages that are still not applied")
    left: bool = Field(description="Whether more wait: work on the cause again")
