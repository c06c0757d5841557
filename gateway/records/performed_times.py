"""When a performed step began and ended, as far as its modality's clock can be believed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from gateway.records.order import Attributes

DAY: Final = 86_400_000_000
"""Microseconds."""
_DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?)?", re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII)


def event_time(attributes: Attributes, which: str, *, received_at: int, zone: tzinfo) -> int:
    """The time of the start or end (`which`: Start, End) in microseconds.

    The modality's own if that lies within the day before the receipt, in `zone` unless Timezone Offset From UTC
    (0008,0201) says otherwise; else the time of receipt.
    """
    date, time = (attributes.get(f"PerformedProcedureStep{which}{part}") for part in ("Date", "Time"))
    offset = offset_of(attributes.get("TimezoneOffsetFromUTC"))
    moment = micros_of(date, time, zone if offset is None else offset)
    return moment if moment is not None and received_at - DAY <= moment <= received_at else received_at


def moment_of(date: str, time: str, offset: str, zone: tzinfo) -> datetime | None:
    """The moment of a DA and a TM, in `zone` unless an offset (`+0100`) is given; None for what is none."""
    micros = micros_of(date, time, offset_of(offset) or zone)
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def micros_of(date: Any, time: Any, zone: tzinfo) -> int | None:
    """Microseconds since 1970 UTC of a DA and a TM; None for what is none."""
    day, hour = _DATE.fullmatch(str(date or "").strip()), _TIME.fullmatch(str(time or "").strip())
    if day is None or hour is None:
        return None
    year, month, of_month = (int(one) for one in day.groups())
    hours, minutes, seconds, fraction = hour[1], hour[2] or "0", hour[3] or "0", (hour[4] or "").ljust(6, "0")
    try:
        moment = datetime(year, month, of_month, int(hours), int(minutes), int(seconds), int(fraction), tzinfo=zone)
        return round((moment - _EPOCH) / timedelta(microseconds=1))
    except (ValueError, OverflowError):
        return None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def offset_of(value: Any) -> tzinfo | None:
    """The offset that `+0100` names; None for what is none."""
    offset = _OFFSET.fullmatch(str(value or "").strip())
    if offset is None:
        return None
    minutes = int(offset[2]) * 60 + int(offset[3])
    return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)) if minutes < 24 * 60 else None
