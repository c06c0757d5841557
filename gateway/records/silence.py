"""How long an examination may go on without a sign of life, and what becomes of it then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

HOUR: Final = 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """What a site says of performed steps that are IN PROGRESS: hours without N-SET and images."""

    hours: float
    hours_of: Mapping[str, float] = field(default_factory=dict)
    """Modality (0008,0060) -> its own."""
    close: bool = False
    """Whether such a performed step ends (`StepEvent.PPS_SILENT`); else it is only listed."""

    @property
    def shortest(self) -> int:
        """The least time after which any performed step is silent, microseconds."""
        return round(min(self.hours, *self.hours_of.values()) * HOUR) if self.hours_of else round(self.hours * HOUR)

    def is_silent(self, modality: str, age: int) -> bool:
        """Whether the last sign of life is too old, `age` in microseconds."""
        return age > self.hours_of.get(modality.upper(), self.hours) * HOUR
