"""A series or an instance that a person takes out of its study: it arrived, and is no part of what EHRs are sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from gateway.records.identifiers import StudyInstanceUID


class ExcludedLevel(StrEnum):
    SERIES = "series"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class ExcludedPart:
    """What is excluded: by its UID, so that what arrives again stays excluded."""

    study_uid: StudyInstanceUID
    uid: str
    """Series or SOP Instance UID."""
    level: ExcludedLevel


@dataclass(frozen=True, slots=True)
class Decision:
    """Who excludes something or takes that back, when and why."""

    person: str
    note: str
    at: int
    """Microseconds."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    part: ExcludedPart
    begun: Decision
    ended: Decision | None
    """None: it is in force."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """All that is excluded of one study."""

    parts: Collection[ExcludedPart] = ()

    def __contains__(self, instance: tuple[str, str]) -> bool:
        """Whether an instance is excluded: (Series Instance UID, SOP Instance UID)."""
        series_uid, sop_uid = instance
        wanted = {ExcludedLevel.SERIES: series_uid, ExcludedLevel.INSTANCE: sop_uid}
        return any(one.uid == wanted[one.level] for one in self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)
