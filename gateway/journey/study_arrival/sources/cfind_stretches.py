"""Stretches of study dates and times that a C-FIND asks for; they are halved where an archive limits its answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Self

from gateway.wire.dimse.requestor_query import Keys

_DAY = timedelta(days=1)
_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begin` on, and before `end`, in the local time of the archive: whole days, or a part of one day."""

    begin: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """Both included."""
        return cls(datetime.combine(first, time.min), datetime.combine(last, time.min) + _DAY)

    @property
    def is_of_days(self) -> bool:
        return self.begin.time() == time.min and self.end.time() == time.min

    def keys(self) -> Keys:
        """The keys that match it (PS3.4 C.2.2.2.5). Date and time are matched apart, so times are of one day; of a
        study without a time only whole days match."""
        last = self.end - timedelta(microseconds=1)
        if self.is_of_days:
            return {"StudyDate": _range(f"{self.begin:%Y%m%d}", f"{last:%Y%m%d}"), "StudyTime": ""}
        return {"StudyDate": f"{self.begin:%Y%m%d}", "StudyTime": f"{self.begin:%H%M%S}-{last:%H%M%S.%f}"}

    def has(self, study_date: str, study_time: str) -> bool:
        """Whether a study with this Study Date and Study Time lies in it; a study without them is not held to it."""
        last = self.end - timedelta(microseconds=1)
        day = study_date.replace(".", "")
        if day and not f"{self.begin:%Y%m%d}" <= day <= f"{last:%Y%m%d}":
            return False
        moment = study_time.replace(":", "").partition(".")[0].ljust(6, "0")
        return self.is_of_days or not study_time or f"{self.begin:%H%M%S}" <= moment <= f"{last:%H%M%S}"

    def halves(self) -> tuple[Self, Self] | None:
        """The later half first; None: it is as short as stretches get."""
        kind = type(self)
        if self.is_of_days and (days := (self.end - self.begin) // _DAY) > 1:
            middle = self.begin + days // 2 * _DAY
        elif self.end - self.begin > _SHORTEST:
            middle = self.begin + timedelta(seconds=(self.end - self.begin) // timedelta(seconds=2))
        else:
            return None
        return kind(middle, self.end), kind(self.begin, middle)


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"
