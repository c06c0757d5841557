"""A query whose dates and times are in a zone of its own: Timezone Offset From UTC as a key (PS3.18 8.3.4.1.1)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

from gateway.errors import InvalidValue
from gateway.worklist import moments
from gateway.worklist.answering import STEP_SEQUENCE
from gateway.worklist.items import Element, Item
from gateway.worklist.matching import START_DATE, START_TIME

TIMEZONE: Final = 0x00080201
_PLACE: Final = "TimezoneOffsetFromUTC"
_START: Final = (
    (START_DATE, "DA", "ScheduledProcedureStepStartDate"),
    (START_TIME, "TM", "ScheduledProcedureStepStartTime"),
)
# A plus that is not percent-encoded is a blank in a query parameter.
_OFFSET: Final = re.compile(r"([+-]?)(\d\d)([0-5]\d)", re.ASCII)


def in_zone_of_site(keys: Item, zone: tzinfo) -> Item:
    """The query with the start of the step in the site's `zone`, and without the offset. Raises `InvalidValue`."""
    offset = keys.get(TIMEZONE)
    if offset is None:
        return keys
    keys = {tag: one for tag, one in keys.items() if tag != TIMEZONE}
    steps = keys.get(STEP_SEQUENCE)
    if offset.is_empty or steps is None or not steps.items:
        return keys
    step = _shifted(steps.items[0], _zone_of(offset.values[0]), zone)
    return {**keys, STEP_SEQUENCE: Element(STEP_SEQUENCE, "SQ", steps.keyword, items=(step,))}


def _zone_of(written: str) -> tzinfo:
    match = _OFFSET.fullmatch(written)
    if match is None or int(match[2]) > 14:
        raise InvalidValue("is an offset such as +0100 or -0500", place=_PLACE)
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def _shifted(step: Item, asked: tzinfo, zone: tzinfo) -> Item:
    date, time = step.get(START_DATE), step.get(START_TIME)
    has_date, has_time = (one is not None and any(one.values) for one in (date, time))
    if not has_date:
        if has_time:
            raise InvalidValue("a time in another zone needs its date", place=_PLACE)
        return step
    assert date is not None
    days = _span("DA", date)
    hours = None if not has_time or time is None else _span("TM", time)
    if hours is not None and hours.form != days.form:
        raise InvalidValue("dates and times in another zone are both ranges of the same form, or neither", place=_PLACE)
    first, last = _interval(days, hours)
    bounds = [None if one is None else _moved(one, asked, zone) for one in (first, last)]
    written = ("-".join(f"{one:{form}}" if one else "" for one in bounds) for form in ("%Y%m%d", "%H%M%S.%f"))
    shifted = zip(_START, written, strict=True)
    return {**step, **{tag: Element(tag, vr, keyword, (value,)) for (tag, vr, keyword), value in shifted}}


def _interval(days: moments.Span, hours: moments.Span | None) -> tuple[int | None, int | None]:
    """The first and the last microsecond; None: open."""
    if not days.is_range:
        assert days.first is not None
        if hours is None or hours.first is None:
            return days.first, days.first + moments.DAY - 1
        return days.first + hours.first, days.first + hours.first
    first = days.first if days.first is None or hours is None else days.first + (hours.first or 0)
    last = days.last if days.last is None or hours is None else days.last + 1 - moments.DAY + (hours.last or 0)
    return first, last


def _span(vr: str, key: Element) -> moments.Span:
    try:
        return moments.span(vr, next(filter(None, key.values)))
    except ValueError as error:
        raise InvalidValue(str(error), place=key.keyword) from None


def _moved(moment: int, asked: tzinfo, zone: tzinfo) -> datetime:
    try:
        return (datetime(1, 1, 1, tzinfo=asked) + timedelta(microseconds=moment - moments.DAY)).astimezone(zone)
    except OverflowError:
        raise InvalidValue("a date at the end of time has no other zone", place=_PLACE) from None
