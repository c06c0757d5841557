"""A part of the gateway, such as a listener or an EHR, and how it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Level(StrEnum):
    GOOD = "good"
    WARN = "warn"
    """Will need a person, unless it passes by itself."""
    BAD = "bad"
    """Needs a person now."""


SEVERITY: Final = {level: number for number, level in enumerate(Level)}


def worst(levels: Iterable[Level]) -> Level:
    """The one that counts for all of them; `GOOD` of none."""
    return max(levels, key=SEVERITY.__getitem__, default=Level.GOOD)


class Kind(StrEnum):
    """What a part is; the parts are listed in this order."""

    GATEWAY = "gateway"
    DATABASE = "database"
    DISK = "disk"
    SPOOL = "spool"
    """Files of instances with their pixels."""
    LISTENER = "listener"
    """HL7."""
    DICOM = "dicom"
    SCANNER = "scanner"
    EXAMINATIONS = "examinations"
    RECEIVER = "receiver"
    """An EHR, or a destination of HL7 or DICOM."""
    WORKER = "worker"
    CLOCK = "clock"
    CERTIFICATE = "certificate"
    AUDIT = "audit"
    """A repository that audit messages are sent to."""
    CHAIN = "chain"
    """Of the audit trail."""
    BACKUP = "backup"
    RETENTION = "retention"
    """Deleting by age, and erasures."""
    CONFIGURATION = "configuration"


ORDER: Final = {kind: number for number, kind in enumerate(Kind)}


class Form(StrEnum):
    """What the number of a fact is; edges write it as people read it."""

    TEXT = "text"
    COUNT = "count"
    MOMENT = "moment"
    """Microseconds since 1970 UTC."""
    BYTES = "bytes"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: int | str
    form: Form = Form.TEXT
    is_bound: bool = False
    """There are at least so many: they were not counted to the end."""


@dataclass(frozen=True, slots=True)
class Part:
    kind: Kind
    name: str
    """Among the parts of its kind; empty where there is but one."""
    level: Level
    detail: str
    """How it is, in a sentence."""
    facts: Sequence[Fact] = ()
    page: str = "/system"
    """Path of the console's page that shows more, and cures."""


@dataclass(frozen=True, slots=True)
class State:
    """All parts at one moment."""

    at: int
    """Microseconds since 1970 UTC."""
    version: str
    parts: Sequence[Part] = field(default_factory=tuple)

    @property
    def level(self) -> Level:
        return worst(part.level for part in self.parts)

    def calling(self) -> list[Part]:
        """The parts that are not good, the worst first."""
        return sorted((one for one in self.parts if one.level is not Level.GOOD), key=lambda one: -SEVERITY[one.level])


def moments(**named: int | None) -> tuple[Fact, ...]:
    """A fact for each moment that there is; `_` in a name stands for a space."""
    return tuple(Fact(name.replace("_", " "), at, Form.MOMENT) for name, at in named.items() if at)
