"""What an export is of, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from gateway.operations.export.order_rows import SECOND
from gateway.operations.export.treatment import Retained
from gateway.operations.export.writers import Format


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What is exported: orders that came, and studies whose first instance came, from one day to another."""

    first: date
    last: date
    """This day too."""
    zone: tzinfo
    """Of the days, and of dates of studies."""
    form: Format
    retained: frozenset[Retained] = frozenset()

    def bounds(self) -> tuple[int, int]:
        """The moments between which it lies, microseconds; the second is not part of it."""
        return _begin(self.first, self.zone), _begin(self.last + timedelta(days=1), self.zone)


def _begin(day: date, zone: tzinfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND
