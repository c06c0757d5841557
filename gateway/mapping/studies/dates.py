"""FHIR date, dateTime and instant as the period that they cover (R4 search, 3.1.1.4.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from gateway.errors import InvalidValue
from gateway.records.search import Period

_SHAPE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
END_OF_TIME: Final = 253_402_300_800_000_000
"""Microseconds, the end of the year 9999 UTC: that year stands for no end."""


def period_of(written: str, zone: tzinfo) -> Period:
    """The period that a date of any precision covers; `zone` is that of dates and of times without an offset.

    Raises `InvalidValue`.
    """
    match = _SHAPE.fullmatch(written)
    if match is None:
        raise InvalidValue(f"{written!r} is no date; write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    if second == "60":
        second, fraction = "59", None  # a leap second has no place of its own
    try:
        first = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "")[:6].ljust(6, "0")), _zone(offset) or zone,
        )  # fmt: skip
        if first.year == 9999:
            return Period(_micros(first), max(END_OF_TIME, _micros(first) + 1))
        return Period(_micros(first), _micros(_next(first, match)))
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"{written!r} is not in the calendar") from error


def _next(first: datetime, match: re.Match[str]) -> datetime:
    _, month, day, hour, _, second, fraction, _ = match.groups()
    if fraction:
        # Further digits than microseconds have nothing to be compared with.
        return _later(first, timedelta(microseconds=10 ** (6 - min(len(fraction), 6))))
    if hour:
        return _later(first, timedelta(seconds=1) if second else timedelta(minutes=1))
    if day:
        return first + timedelta(days=1)  # by the clock on the wall: a day may have 23 hours
    if month:
        return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.replace(year=first.year + 1)


def _later(moment: datetime, step: timedelta) -> datetime:
    return moment.astimezone(UTC) + step


def _zone(offset: str | None) -> tzinfo | None:
    if not offset or offset == "Z":
        return UTC if offset else None
    away = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
    return timezone(-away if offset[0] == "-" else away)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def instant(micros: int) -> str:
    """A FHIR instant in UTC, to the millisecond."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
