"""What was acknowledged in a night, and so has to be there at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.simulators.ris import Exam

KINDS: Final = ("order", "query", "performed step", "image")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a sender, and how it ended."""

    at: float
    """Monotonic seconds of its end."""
    kind: str
    node: str
    seconds: float
    failure: str
    """'' if it was answered as it should be."""


@dataclass(slots=True)
class Examined:
    """A study that a modality has made."""

    instances: int = 0
    """Stored with Success."""
    ended: bool = False
    """The end was answered with Success, so that the step has left the worklist."""


@dataclass(slots=True)
class Model:
    """What senders were answered."""

    attempts: list[Attempt] = field(default_factory=list)
    orders: dict[str, Exam] = field(default_factory=dict)
    """Accession number -> the order as its last AA took it."""
    cancelled: set[str] = field(default_factory=set)
    studies: dict[str, Examined] = field(default_factory=dict)
    """By Study Instance UID."""
    unseen: list[str] = field(default_factory=list)
    """Accession numbers that a query after the AA did not find once, and where."""
    given_up: list[str] = field(default_factory=list)
    """Requests that were refused for good."""

    def worklist(self) -> dict[str, str]:
        """Accession number -> date and time of the start of its step, of all that a scanner has to be shown."""
        return {
            number: f"{order.start:%Y%m%d%H%M%S}"
            for number, order in self.orders.items()
            if number not in self.cancelled and not self.has_ended(order)
        }

    def has_ended(self, order: Exam) -> bool:
        return order.study_uid in self.studies and self.studies[order.study_uid].ended

    def note(self, kind: str, node: str, begun: float, failure: str = "") -> None:
        now = time.monotonic()
        self.attempts.append(Attempt(now, kind, node, now - begun, failure))

    def failures(self, choose: Callable[[Attempt], bool] = lambda _: True) -> list[Attempt]:
        return [one for one in self.attempts if one.failure and choose(one)]
