"""Hours of the day in which something may be done, by the clock of a site."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Self


@dataclass(frozen=True, slots=True)
class Windows:
    """Spans from their begin up to their end, over midnight where the end comes first. Moments in microseconds."""

    spans: tuple[tuple[time, time], ...]
    zone: tzinfo

    @classmethod
    def of(cls, written: Iterable[str], zone: tzinfo) -> Self | None:
        """Of texts such as 22:00-06:00; None of none: there is no limit."""
        spans = tuple((time.fromisoformat(one[:5]), time.fromisoformat(one[6:])) for one in written)
        return cls(spans, zone) if spans else None

    def is_open(self, now: int) -> bool:
        """Whether a span holds the moment."""
        at = self._local(now).time()
        return any(begin <= at < end if begin < end else at >= begin or at < end for begin, end in self.spans)

    def opens_at(self, now: int) -> int | None:
        """When the next span begins; None: it is open."""
        if self.is_open(now):
            return None
        today = self._local(now).date()
        begins = [
            round(datetime.combine(today + timedelta(days=days), begin, self.zone).timestamp() * 1e6)
            for days in (0, 1)
            for begin, _ in self.spans
        ]
        return min(one for one in begins if one > now)

    def shown(self, moment: int) -> str:
        """The time of the day, such as 22:00."""
        return f"{self._local(moment):%H:%M}"

    def _local(self, moment: int) -> datetime:
        return datetime.fromtimestamp(moment / 1e6, self.zone)
