"""What a person looks for: a number or a name, narrowed by day, modality, station or state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

NOT_APPLIED: Final = "not-applied"
"""A state to look for beside those of steps: messages that changed nothing."""


class MatchedOn(StrEnum):
    """Which value of an order, patient, study or message is the one that was looked for."""

    ACCESSION = "accession number"
    PLACER = "placer order number"
    FILLER = "filler order number"
    STUDY = "Study Instance UID"
    SERIES = "Series Instance UID"
    INSTANCE = "SOP Instance UID"
    PERFORMED_STEP = "performed step"
    PATIENT_ID = "Patient ID"
    NAME = "patient name"
    CONTROL_ID = "MSH-10"
    NUMBER = "number in the message"
    FILTER = "filter"


OF_PATIENT: Final = frozenset({MatchedOn.PATIENT_ID, MatchedOn.NAME})
"""What is found because its patient is."""


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Conditions that a scheduled step of an order meets; empty: any."""

    day: str = ""
    """DA."""
    modality: str = ""
    station: str = ""
    state: str = ""

    def __bool__(self) -> bool:
        return bool(self.day or self.modality or self.station or self.state)


@dataclass(frozen=True, slots=True)
class NamePrefixes:
    """How the keys of a name may begin (`gateway.worklist.names.name_key`)."""

    name: tuple[str, ...]
    """The whole key, which begins with the family name."""
    given: tuple[str, ...]
    """The key from the given name on."""


class NumberKind(StrEnum):
    """What a message that was not applied is found by."""

    NUMBER = "number"
    NAME = "name"
    """Key of a name, from the family name on."""
    GIVEN = "given"
    """The same from the given name on."""


class MessageNumber(NamedTuple):
    """A number, or a key of a name, that a message holds."""

    kind: NumberKind
    value: str
