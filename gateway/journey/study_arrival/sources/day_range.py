"""Days that are listed once, each by itself: for who compares a source with what is here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from gateway.errors import NeedsPerson
from gateway.journey.study_arrival.sources.source import StudySource
from gateway.journey.study_arrival.sources.windows import DAY, DayWindows, Window
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study_source import Listing, Watermark


@dataclass(frozen=True, slots=True)
class DayRange(DayWindows):
    """From `since` to `until`, both included; the watermark that ends a day has `reached` that day."""

    until: date = date.max

    def of_poll(self, watermark: Watermark, today: date) -> Iterator[tuple[Window, Watermark]]:
        """As of `DayWindows`, in the order of the days."""
        day = self.since or today
        while day <= self.until:
            yield Window(day, day), replace(watermark, reached=day.isoformat())
            day += DAY


@dataclass(slots=True)
class ListedDay:
    """What a source lists of a day."""

    instances: dict[StudyInstanceUID, int | None] = field(default_factory=dict)
    """Of each study; None: the source does not state it."""
    note: str = ""
    """Why it may not be all."""


class DayLister:
    """Reads a source day by day; the source is made with a `DayRange`."""

    def __init__(self, source: StudySource, *, is_narrowed: bool) -> None:
        """`is_narrowed`: the source is asked for some studies alone, so that others may be there too."""
        self.name = source.name
        self.is_narrowed = is_narrowed
        self._source = source
        self._pages: AsyncGenerator[Listing] | None = None

    async def day(self, day: date, now: int) -> ListedDay:
        """The next day of the range. Raises what the source raises."""
        if self._pages is None:
            self._pages = self._source.list_studies(Watermark(), now)
        listed = ListedDay()
        async for page in self._pages:
            listed.instances |= {one.study_uid: one.instances for one in page.studies}
            if page.watermark is not None and page.watermark.reached == day.isoformat():
                listed.note = page.watermark.note
                return listed
        raise NeedsPerson(f"the source does not list {day.isoformat()}", place=self._source.place)

    async def close(self) -> None:
        """End what is open at the source."""
        if self._pages is not None:
            await self._pages.aclose()
