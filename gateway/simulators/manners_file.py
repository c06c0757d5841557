"""How the simulated EHR misbehaves, as a file says it: rules, the first of which that fits decides about a request."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gateway.config import yaml_file as config_file
from gateway.errors import ConfigError

SHIPPED: Final = Path(__file__).parent / "manners"
T = TypeVar("T", bound=BaseModel)
Method = Literal["GET", "POST", "PUT", "DELETE"]
Action = Literal["answer", "drop_before", "drop_after", "half", "slow", "slow_body", "race", "change"]
_METHODS: Final[dict[str, tuple[str, ...]]] = {"race": ("PUT", "POST"), "change": ("PUT", "POST")}
"""Actions that need a resource in the request."""
_NEEDS: Final = {"answer": ("status",), "slow": ("seconds",), "slow_body": ("seconds",)}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Part):
    do: Action
    """answer: with `status`, and nothing is kept. drop_before, drop_after: close the connection before or after the
    write is kept. half: keep it and send half an answer. slow, slow_body: wait `seconds` before the request is looked
    at, or amid the answer. race: another writer creates the same resource just before. change: another writer makes a
    new version of it just before."""
    method: list[Method] = []
    """None: all of them."""
    path: str = ""
    """What the path below the base begins with: ImagingStudy, metadata."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the requests that fit."""
    after: Annotated[int, Field(ge=0)] = 0
    """So many that fit are let pass first."""
    times: Annotated[int, Field(ge=1)] | None = None
    """How often it is done; none: for ever."""
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None
    """Seconds, in the header Retry-After."""
    retry_after_as: Literal["seconds", "date"] = "seconds"
    html: bool = False
    """An HTML page, as a proxy before an EHR sends it, in place of an OperationOutcome."""
    code: str = ""
    """Issue type of the OperationOutcome."""
    text: str = ""
    """What the OperationOutcome says."""
    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Rule:
        missing = [key for key in _NEEDS.get(self.do, ()) if getattr(self, key) is None]
        if missing:
            raise ValueError(f"'do: {self.do}' needs {' and '.join(missing)}")
        return self


class Server(_Part):
    conditional: Literal["served", "refused", "ignored"] = "served"
    """Conditional create and update. ignored: If-None-Exist is not looked at, though it is announced."""
    update_create: bool = True
    """PUT under an id that is not there yet creates."""
    token_requests: Annotated[int, Field(ge=1)] | None = None
    """A bearer token is good for so many requests, then answered 401."""
    max_body_bytes: Annotated[int, Field(ge=1)] | None = None
    """Longer bodies are answered 413."""


class Script(_Part):
    seed: int = 1
    """The same seed and the same requests meet the same rules."""
    server: Server = Server()
    rules: list[Rule] = []


def load(named: str) -> Script:
    """The script in a file, or one of ours by its name. Raises `ConfigError` with every fault and its line."""
    return load_script(named, Script, SHIPPED)


def load_script(named: str, kind: type[T], folder: Path) -> T:
    """As `load`, for another kind of script, with those of ours in a folder of their own."""
    ours = folder / f"{named}.yaml"
    path = ours if ours.is_file() and not Path(named).is_file() else Path(named)
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml")))
        raise ConfigError([f"{named}: there is no such file; scripts that come with the gateway: {known}"])
    source = config_file.read(path)
    faults = list(source.faults)
    try:
        script = kind.model_validate(source.data)
    except ValidationError as error:
        faults += [config_file.fault(kind, source, one) for one in error.errors()]
    if faults:
        raise ConfigError(faults)
    return script


class Turn(Protocol):
    """When a rule that fits is done."""

    @property
    def share(self) -> float: ...
    @property
    def after(self) -> int: ...
    @property
    def times(self) -> int | None: ...


class Turns:
    """Counts how often each rule fitted and was done, and draws."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._fitted: Counter[int] = Counter()
        self._done: Counter[int] = Counter()

    def takes(self, number: int, rule: Turn) -> bool:
        """Whether a rule that fits is done this time; `number`: its place in the script."""
        if rule.times is not None and self._done[number] >= rule.times:
            return False
        self._fitted[number] += 1
        if self._fitted[number] <= rule.after or self._random.random() >= rule.share:
            return False
        self._done[number] += 1
        return True


class Mood:
    """A script at work."""

    def __init__(self, script: Script) -> None:
        self.server = script.server
        self._rules = script.rules
        self._turns = Turns(script.seed)
        self._tokens: Counter[str] = Counter()

    def rule(self, method: str, path: str) -> Rule | None:
        """What is done about a request with this path below the base, None for nothing."""
        for number, rule in enumerate(self._rules):
            methods = rule.method or _METHODS.get(rule.do, ())
            if (methods and method not in methods) or not path.startswith(rule.path):
                continue
            if self._turns.takes(number, rule):
                return rule
        return None

    def token_is_good(self, authorization: str) -> bool:
        if self.server.token_requests is None:
            return True
        self._tokens[authorization] += 1
        return bool(authorization) and self._tokens[authorization] <= self.server.token_requests
