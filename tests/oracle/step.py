"""A scheduled procedure step, and what orders and appointments do to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Standing(Enum):
    """What the order says of a step."""

    OPEN = auto()
    HELD = auto()
    ENDED = auto()
    """Cancelled, discontinued or replaced."""
    DONE = auto()


@dataclass(slots=True)
class Step:
    """Order (chapter 4) and appointment (chapter 10) each have their word on it, and neither takes back the other's."""

    start: str
    standing: Standing = Standing.OPEN
    has_appointment: bool = True

    @property
    def is_shown(self) -> bool:
        return self.standing is Standing.OPEN and self.has_appointment

    @property
    def _waits(self) -> bool:
        return self.standing in (Standing.OPEN, Standing.HELD)

    def order(self, start: str) -> None:
        """NW, XO (4.5.1.1): ordered, with its time; what was cancelled is ordered anew, what is held stays so."""
        if self.standing is Standing.ENDED:
            self.standing = Standing.OPEN
        self.start = start or self.start
        self.has_appointment = True

    def end(self) -> None:
        """CA, OC, DC, RP (4.5.1.1): "the replaced orders are treated as though they were canceled"."""
        if self._waits:
            self.standing = Standing.ENDED

    def hold(self) -> None:
        """HD (4.5.1.1). Whoever is to hold what has ended is "unable to" (UH)."""
        if self.standing is Standing.OPEN:
            self.standing = Standing.HELD

    def release(self) -> None:
        """RL (4.5.1.1): takes a hold back, and nothing else."""
        if self.standing is Standing.HELD:
            self.standing = Standing.OPEN

    def complete(self) -> None:
        """ORC-5 CM (table 0038): performed, whatever was ordered; final."""
        self.standing = Standing.DONE

    def book(self, start: str) -> None:
        """S12, S13, S14 (chapter 10): another time; what a cancelled appointment took away comes back."""
        if self._waits:
            self.start = start or self.start
            self.has_appointment = True

    def unbook(self) -> None:
        """S15 (chapter 10): the appointment is cancelled; S26: the patient did not show up."""
        if self._waits:
            self.has_appointment = False
