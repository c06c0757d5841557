"""Where the paths of `step_to_status.yaml` look: the order's own message, the order, the performed step, the status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from gateway.mapping.language.values import vr_of
from gateway.mapping.orders import paths
from gateway.mapping.orders.scope import Scope, Value
from gateway.mapping.status.functions import field_of
from gateway.records.order import Attributes, Number
from gateway.records.order_progress import Progress

PERFORMED: Final = "performed."
PROGRESS: Final = tuple(progress.value for progress in Progress)
FACTS: Final = ("status.order", "status.event", "status.at", "status.number")
NUMBERS: Final = ("order.placer", "order.filler")


@dataclass(frozen=True, slots=True)
class StatusScope:
    """What is known of one scheduled step of which a status tells."""

    ordered: Attributes
    """Of patient, order, procedure and step."""
    performed: Attributes
    """Of the performed step, as its modality stated them."""
    facts: Mapping[str, str]
    """What `FACTS` name."""
    numbers: Mapping[str, Number]
    """What `NUMBERS` name."""
    message: Scope | None = field(default=None)
    """The segments of the order's own message that speak of the step; None: it has none."""


@dataclass(frozen=True, slots=True)
class ScopeValue:
    """What stands at a path: a field of HL7, or a value of DICOM."""

    field: Value = field(default_factory=list)
    value: Any = None

    def __bool__(self) -> bool:
        return bool(self.field) or self.value not in (None, "", [], {})


Look = Callable[[StatusScope], ScopeValue]


def check(path: str) -> str | None:
    """What is wrong with a path, None if nothing."""
    if path in FACTS or path in NUMBERS:
        return None
    if path.startswith(("status.", "order.")):
        return f"there is no {path!r}; known: {', '.join((*FACTS, *NUMBERS))}"
    match = paths.PATH.fullmatch(path)
    if match is not None:
        return None if match["field"] else f"{path!r} names a segment without a field"
    keywords = path.removeprefix(PERFORMED).split(".")
    for number, keyword in enumerate(keywords):
        if not vr_of(keyword):
            return f"{keyword!r} is no DICOM attribute, and {path!r} no path such as ORC-2, PID-3* or {FACTS[0]}"
        if number < len(keywords) - 1 and vr_of(keyword) != "SQ":
            return f"{keyword!r} is no sequence, so nothing can stand in it"
    return None


@lru_cache(maxsize=1024)
def compiled(path: str) -> Look:
    """A function that looks `path` up. The path must have passed `check`."""
    if path in FACTS:
        return lambda scope: ScopeValue(value=scope.facts.get(path))
    if path in NUMBERS:
        return lambda scope: ScopeValue(_number(scope.numbers.get(path)))
    if paths.PATH.fullmatch(path):
        look = paths.compile_path(path)
        return lambda scope: ScopeValue((scope.message and look(scope.message)) or [])
    keywords = path.removeprefix(PERFORMED).split(".")
    if path.startswith(PERFORMED):
        return lambda scope: ScopeValue(value=_walked(scope.performed, keywords))
    return lambda scope: ScopeValue(value=_walked(scope.ordered, keywords))


def _number(number: Number | None) -> Value:
    return field_of(number.value, number.authority) if number is not None and number.value else []


def _walked(attributes: Attributes, keywords: list[str]) -> Any:
    """The value of the last keyword, each of the others a sequence whose first item is taken."""
    value: Any = attributes
    for keyword in keywords:
        value = next(iter(value), None) if isinstance(value, list) else value
        value = value.get(keyword) if isinstance(value, dict) else None
    return value
