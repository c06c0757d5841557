"""What a RIS does next: small numbers, so that a history can be made at random and made smaller."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Feature(Enum):
    """What a history may hold beside NW, XO, CA, DC, HD, RL and SC of orders that state all their numbers, no study."""

    REPLACEMENT = "RO, RP"
    CHILDREN = "PA, CH"
    NAMES = "A08, A31, A04"
    MERGES = "A40"
    NEW_IDS = "A47"
    APPOINTMENTS = "SIU"
    SPLIT_NUMBERS = "order numbers over messages"
    MIXED_IDS = "stated and missing procedure ids"
    TIES = "equal times"
    CLOCK_CHANGE = "the hour that comes twice"
    REPEATS = "the same bytes again"
    STRANGERS = "order numbers of another patient"
    STUDY_UIDS = "ZDS"


class Deed(Enum):
    """Each is of a feature, or of every history."""

    ORDER = None
    AGAIN = None, 1
    CHANGE = None, 2
    END = None, 3
    HOLD = None, 4
    RELEASE = None, 5
    STATUS = None, 6
    REPLACE = Feature.REPLACEMENT, 7
    SPAWN = Feature.CHILDREN, 8
    RENAME = Feature.NAMES, 9
    MERGE = Feature.MERGES, 10
    IDENTIFY = Feature.NEW_IDS, 11
    BOOK = Feature.APPOINTMENTS, 12
    UNBOOK = Feature.APPOINTMENTS, 13
    CONFUSE = Feature.STRANGERS, 14

    @property
    def feature(self) -> Feature | None:
        return self.value[0] if self.value else None


@dataclass(frozen=True, slots=True)
class Act:
    """One deed. The numbers choose among what is possible at that time."""

    deed: Deed
    order: int = 0
    """Which order or patient."""
    patient: int = 0
    """By which of the patient's ids."""
    numbers: int = 0
    """Which order numbers are stated; 0: all."""
    what: int = 0
    gap: int = 1
    """Minutes since the act before."""
    late: int = 0
    """Minutes until the message arrives."""
    again: int = 0
    """Minutes until it arrives once more; 0: it does not."""
