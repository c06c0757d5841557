"""How long no instance of a study must have come for the study to be quiet: for all, by modality, or by station."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

FEWEST_STUDIES: Final = 20
"""A station with fewer is waited for as all others."""
MARGIN: Final = 1.5
"""A pause that is half as long again as those that were seen counts as the end."""


@dataclass(frozen=True, slots=True)
class QuietTimes:
    """In microseconds."""

    usual: int
    by_modality: Mapping[str, int] = field(default_factory=dict)
    by_station: Mapping[str, int] = field(default_factory=dict)
    """By the AE title or name of whoever sends, as `learnt` gives them."""

    def of(self, station: str, modality: str) -> int:
        """What counts after an instance of this modality from this station."""
        learnt = self.by_station.get(station)
        return self.by_modality.get(modality, self.usual) if learnt is None else learnt


@dataclass(frozen=True, slots=True)
class LearningRule:
    """How the quiet time of a station follows from the pauses in its past studies."""

    percentile: float
    """In so many of 100 studies the station would not have come back after its quiet time."""
    least: int
    most: int
    """Bounds, in microseconds."""


def learnt(pauses: Mapping[str, Sequence[int]], rule: LearningRule) -> dict[str, int]:
    """Station -> quiet time. `pauses`: the longest pause between two instances of each of its studies."""
    return {
        station: min(max(round(_percentile(known, rule.percentile) * MARGIN), rule.least), rule.most)
        for station, known in pauses.items()
        if len(known) >= FEWEST_STUDIES
    }


def _percentile(values: Sequence[int], percentile: float) -> int:
    """The lowest of `values` that so many of 100 of them do not exceed."""
    ordered = sorted(values)
    place = -(-len(ordered) * percentile // 100)
    return ordered[max(int(place), 1) - 1]
