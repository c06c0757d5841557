"""Dates and times: HL7 DT, TM, TS, DTM to DICOM DA and TM (PS3.5 6.2)."""

from __future__ import annotations

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from gateway.errors import InvalidValue
from gateway.mapping.orders.settings import Settings as Settings

DAY, HOUR = 8, 10
"""Significant digits of a DTM that names a day, an hour."""

_DASHES: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)

_DTM: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:[T ]?(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.?(\d{1,6})\d*)?|\.\d+|\d)?)?)?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
"""DTM (HL7 2.5.1 ch. 2.A.22) and what is seen instead of it: separators of ISO 8601, a fraction without its point, half
a second."""

_OFFSET: Final = re.compile(r"(Z|[+-]\d{2}:?\d{2})\s*", re.ASCII)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)


# Enough for the rows of one message; a larger cache costs more than it saves, for times are seldom met again.
@lru_cache(maxsize=128)
def parse_dtm(written: str, zone: tzinfo) -> tuple[datetime, int]:
    """(aware time, number of digits that were significant: 4, 6, 8, 10, 12 or 14) of an HL7 DTM.

    A time without offset is meant in `zone`; 24:00 is the next day's midnight; a leap second is the one before it.
    Raises `InvalidValue`.
    """
    if len(written) in (8, 12, 14) and written.isascii() and written.isdigit():
        try:
            moment = datetime.fromisoformat(f"{written[:8]}T{written[8:] or '00'}")
            if MINYEAR < moment.year < MAXYEAR:
                return datetime.combine(moment, moment.time(), zone), len(written)
        except ValueError:
            pass  # What is unusual is left to the thorough reading below.
    match = _DTM.fullmatch(_DASHES.sub(r"\1\2\3", written.strip(), count=1))
    if match is None:
        raise InvalidValue(f"{written!r} is not a date and time (YYYYMMDD[HHMM[SS]][+ZZZZ])")
    parts = match.group(1, 2, 3, 4, 5, 6)
    digits = 2 + 2 * sum(part is not None for part in parts)
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    over = (hour, minute, second) == (24, 0, 0)
    try:
        moment = datetime(
            year, month or (digits < 6), day or (digits < DAY), 0 if over else hour, minute,
            59 if second == 60 else second, int((match[7] or "").ljust(6, "0")), tzinfo=_offset(match[8]) or zone,
        )  # fmt: skip
        moment = moment + timedelta(days=1) if over else moment
        # The zone's edges too must be within the calendar.
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"{written!r} is not a date and time: {error}") from error
    return moment, digits


def offset_of(written: str) -> tzinfo | None:
    """The offset at the end of a DTM, None if it has none or no legal one."""
    if written.isdigit():
        return None
    match = _OFFSET.search(written)
    try:
        return _offset(match[1]) if match and match.end() == len(written) else None
    except ValueError:
        return None


def _offset(written: str | None) -> timezone | None:
    if not written:
        return None
    if written == "Z":
        return UTC
    minutes = int(written[-2:])
    if minutes > 59:
        raise ValueError("an offset has at most 59 minutes")
    return timezone((-1 if written[0] == "-" else 1) * timedelta(hours=int(written[1:3]), minutes=minutes))


CLOCKS_DIFFER_MICROS: Final = 300_000_000


def in_its_hour(moment: datetime, received_at: int) -> datetime:
    """A time of the hour that comes twice when summer time ends: the later one, unless that is after the receipt."""
    offset, later_offset = moment.utcoffset(), moment.replace(fold=1).utcoffset()
    if offset is None or later_offset is None or later_offset >= offset:
        return moment
    later = moment.astimezone(UTC) + (offset - later_offset)
    return later if micros(later) <= received_at + CLOCKS_DIFFER_MICROS else moment


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=128)
def _local(written: str, zone: tzinfo, site: tzinfo) -> tuple[str, str]:
    """DTM -> DA and TM in the site's zone, '' for what it does not tell; `zone` as for `parse_dtm`."""
    moment, digits = parse_dtm(written, zone)
    if digits < HOUR:
        # A day alone is the same day everywhere.
        return _da(moment) if digits >= DAY else "", ""
    try:
        moment = moment if moment.tzinfo is site else moment.astimezone(site)
    except OverflowError as error:
        raise InvalidValue(f"a date and time outside the calendar: {error}") from error
    return _da(moment), f"{moment.hour:02}{moment.minute:02}{moment.second:02}"


def _da(moment: datetime) -> str:
    return f"{moment.year:04}{moment.month:02}{moment.day:02}"


def local_moment(written: str, settings: Settings) -> tuple[str, str]:
    """DTM -> DA and TM in the site's zone, '' for what it does not state. Raises `InvalidValue`."""
    return _local(written, settings.message_zone or settings.zone, settings.zone)


def date(written: str, settings: Settings) -> str:
    """DTM -> DA in the site's zone. A month or year alone has no DA and is refused."""
    day, _ = local_moment(written, settings)
    if not day:
        raise InvalidValue(f"{written!r} names no day")
    return day


def birth_date(written: str, settings: Settings) -> str:
    """DTM -> DA as written, without any zone. A year or month alone has no DA and is refused."""
    moment, digits = parse_dtm(written, settings.message_zone or settings.zone)
    if digits < DAY:
        raise InvalidValue(f"{written!r} names no day")
    return _da(moment)


def time(written: str, settings: Settings) -> str:
    """DTM -> TM in the site's zone; nothing when only a date is given."""
    return local_moment(written, settings)[1]


def start_time(written: str, settings: Settings) -> str:
    """As `time`, but a date alone is its midnight: date and time of a step must come from one field."""
    return time(written, settings) or "000000"
