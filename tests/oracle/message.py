"""What a message states, and when it came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Group:
    """An ORC with its OBR, or the SCH of an appointment; an empty text is not stated."""

    control: str = ""
    """ORC-1."""
    status: str = ""
    """ORC-5."""
    placer: str = ""
    filler: str = ""
    accession: str = ""
    study: str = ""
    """Study Instance UID."""
    procedure: str = ""
    """Requested Procedure ID."""
    step: str = ""
    """Scheduled Procedure Step ID."""
    parent_placer: str = ""
    parent_filler: str = ""
    """ORC-8."""
    start: str = ""
    """`YYYYMMDDHHMM`, in the site's zone."""

    @property
    def numbers(self) -> tuple[tuple[str, str], ...]:
        """The order numbers that are stated, each with its kind."""
        return _stated(
            ("placer", self.placer), ("filler", self.filler), ("accession", self.accession), ("study", self.study)
        )

    @property
    def parent(self) -> tuple[tuple[str, str], ...]:
        """The numbers of the order that ORC-8 names."""
        return _stated(("placer", self.parent_placer), ("filler", self.parent_filler))


def _stated(*numbers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in numbers if one[1])


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `at` is when what it states happened, which ORC-9, EVN-2 and MSH-7 tell in the site's time."""

    type: str
    """MSH-9, `ADT^A08`."""
    at: datetime
    patient: str
    name: str
    prior: str = ""
    """MRG-1."""
    groups: tuple[Group, ...] = ()

    @property
    def event(self) -> str:
        return self.type.partition("^")[2]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and the time of its receipt, which no other message has."""

    message: Message
    received: datetime
