"""How the simulated RIS misbehaves as a receiver, as a file says it: rules, the first of which that fits decides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.simulators.manners_file import Turns, load_script

SHIPPED: Final = Path(__file__).parent / "ris_manners"
Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
Action = Literal["answer", "slow", "silent", "close_before", "close_after", "other"]


class _RisPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RisRule(_RisPart):
    do: Action
    """answer: with `code` and `text`, and `then` a second acknowledgement. slow: after `seconds`. silent: kept, and not
    answered. close_before, close_after: the connection is closed before or after the message is kept. other: the
    acknowledgement names another message."""
    type: str = ""
    """What MSH-9 begins with: ORM, ADT^A08."""
    code: Code = "AE"
    text: str = ""
    """MSA-3."""
    then: Literal["", "AA", "AE", "AR"] = ""
    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the messages that fit."""
    after: Annotated[int, Field(ge=0)] = 0
    """So many that fit are let pass first."""
    times: Annotated[int, Field(ge=1)] | None = None
    """How often it is done; none: for ever."""

    @model_validator(mode="after")
    def _complete(self) -> RisRule:
        if self.do == "slow" and self.seconds is None:
            raise ValueError("'do: slow' needs seconds")
        return self


class RisScript(_RisPart):
    seed: int = 1
    """The same seed and the same messages meet the same rules."""
    rules: list[RisRule] = []


def load(named: str) -> RisScript:
    """The script in a file, or one of ours by its name. Raises `ConfigError` with every fault and its line."""
    return load_script(named, RisScript, SHIPPED)


class RisMood:
    """A script at work."""

    def __init__(self, script: RisScript) -> None:
        self._rules = script.rules
        self._turns = Turns(script.seed)

    def rule(self, type: str) -> RisRule | None:
        """What is done about a message of this type (`ORM^O01`), None for an AA at once."""
        for number, rule in enumerate(self._rules):
            if type.startswith(rule.type) and self._turns.takes(number, rule):
                return rule
        return None
