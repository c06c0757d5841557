"""Which days of Study Date a poll lists: the newest always again, and what is older window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from gateway.records.study_source import Watermark

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From the first to the last day, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def range(self) -> str:
        """As a key of range matching (PS3.4 C.2.2.2.5)."""
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}"

    def halves(self) -> tuple[Window, Window]:
        """Of a window of more than one day."""
        middle = self.first + (self.days // 2 - 1) * DAY
        return Window(self.first, middle), Window(middle + DAY, self.last)


@dataclass(frozen=True, slots=True)
class DayWindows:
    """`since`: the first day that is ever listed; None: that of the first poll's window. `days`: of a window.
    `again_days`: what is older is listed again after so many, since studies may come late; 0: never."""

    since: date | None
    days: int
    again_days: int = 0

    def of_poll(self, watermark: Watermark, today: date) -> Iterator[tuple[Window, Watermark]]:
        """The windows of a poll, and the watermark once each is listed: first those from the last day that was listed,
        less `days`, to tomorrow, for clocks differ; then those of what is older."""
        mark = _Mark.of(watermark.cursor)
        newest = min(mark.newest or today, today) - (self.days - 1) * DAY
        mark = self._going_on(mark, newest, today)
        first = newest
        while first <= today:
            last = min(first + (self.days - 1) * DAY, today)
            mark = mark.listed_to(last)
            yield Window(first, last + DAY if last == today else last), mark.watermark(watermark)
            first = last + DAY
        while mark.older is not None and mark.until is not None:
            last = min(mark.older + (self.days - 1) * DAY, mark.until)
            older, mark = Window(mark.older, last), mark.filled_to(last)
            yield older, mark.watermark(watermark)

    def _going_on(self, mark: _Mark, newest: date, today: date) -> _Mark:
        """With what is older, where the configuration asks for more of that than was listed, or for all of it again."""
        if self.since is None or self.since >= newest:
            return mark
        is_known = mark.since is not None and mark.since <= self.since
        if not is_known:
            until = mark.since - DAY if mark.since is not None and mark.older is None else newest - DAY
            return replace(mark, since=self.since, older=self.since, until=until, walked=mark.walked or today)
        is_old = mark.walked is None or today - mark.walked >= self.again_days * DAY
        if self.again_days and mark.older is None and is_old:
            return replace(mark, older=self.since, until=newest - DAY, walked=today)
        return mark


@dataclass(frozen=True, slots=True)
class _Mark:
    """The cursor of a watermark."""

    newest: date | None = None
    """The last day that was listed."""
    since: date | None = None
    older: date | None = None
    """The next day to be listed of what is older; None: nothing is."""
    until: date | None = None
    """The last day of what is older."""
    walked: date | None = None
    """When what is older was begun to be listed last."""

    @classmethod
    def of(cls, cursor: Mapping[str, Any]) -> _Mark:
        return cls(*(date.fromisoformat(day) if (day := cursor.get(key)) else None for key in cls.__slots__))

    def listed_to(self, day: date) -> _Mark:
        return replace(self, newest=day)

    def filled_to(self, day: date) -> _Mark:
        is_whole = self.until is not None and day >= self.until
        return replace(self, older=None if is_whole else day + DAY, until=None if is_whole else self.until)

    def watermark(self, before: Watermark) -> Watermark:
        ours = {key: str(getattr(self, key) or "") for key in self.__slots__}
        older = self.older is not None
        return Watermark(
            cursor={**before.cursor, **ours},
            reached=str(self.older or self.newest or ""),
            target=str(self.until or "") if older else "",
            is_behind=older,
            note=before.note,
        )
