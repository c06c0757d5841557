"""Answers about the state of the gateway, and what arrived unreadable."""

from __future__ import annotations

from typing import Literal

from gateway.operations.answers.answer import Answer, Moment


class Live(Answer):
    status: Literal["live"] = "live"


class ComponentState(Answer):
    ok: bool
    detail: str


class Ready(Answer):
    status: Literal["ready", "not ready"]
    components: dict[str, ComponentState]


class Refusal(Answer):
    """What arrived and could not be read at all."""

    id: int
    refused_at: Moment
    source: str
    reason: str
    bytes: int


class Refusals(Answer):
    refusals: list[Refusal]
