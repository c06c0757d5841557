"""Answers about the state of the gateway, and what arrived unreadable."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.operations.answers.answer import Answer, MayBePutAway, Moment, iso
from gateway.operations.state.part import Form, State


class Live(Answer):
    status: Literal["live"] = "live"


class ComponentState(Answer):
    ok: bool
    detail: str


class Ready(Answer):
    status: Literal["ready", "not ready"]
    components: dict[str, ComponentState]


class PartFact(Answer):
    name: str
    value: int | str
    form: Annotated[
        Literal["text", "count", "moment", "bytes", "days"], Field(description="What `value` is; a moment is ISO 8601")
    ]
    is_bound: Annotated[bool, Field(description="There are at least so many: they were not counted to the end")] = False


class PartState(Answer):
    kind: str
    name: Annotated[str, Field(description="Among the parts of its kind; empty where there is but one")]
    level: Literal["good", "warn", "bad"]
    detail: str
    facts: list[PartFact]
    page: Annotated[str, Field(description="Path of the page that shows more")]


class GatewayState(Answer):
    """How each part of the gateway is."""

    at: Moment
    version: str
    level: Annotated[Literal["good", "warn", "bad"], Field(description="The worst of all parts")]
    parts: list[PartState]

    @classmethod
    def of(cls, state: State) -> GatewayState:
        """The same as an answer."""
        return cls.model_validate(
            {
                "at": state.at, "version": state.version, "level": state.level.value,
                "parts": [
                    {
                        "kind": part.kind.value, "name": part.name, "level": part.level.value, "detail": part.detail,
                        "page": part.page,
                        "facts": [
                            {
                                "name": fact.name, "form": fact.form.value, "is_bound": fact.is_bound,
                                "value": iso(int(fact.value)) if fact.form is Form.MOMENT else fact.value,
                            }
                            for fact in part.facts
                        ],
                    }
                    for part in state.parts
                ],
            }
        )  # fmt: skip


class Refusal(MayBePutAway):
    """What arrived and could not be read at all."""

    id: int
    refused_at: Moment
    source: str
    reason: str
    bytes: int


class Refusals(Answer):
    refusals: list[Refusal]


class ReloadedConfiguration(Answer):
    """What came of reading the files of the configuration anew."""

    at: Moment
    is_in_force: Annotated[bool, Field(description="false: a fault kept all as it was")]
    faults: list[str]
    waits_for_restart: Annotated[list[str], Field(description="Keys that only a restart puts in force")]
