"""Dates of FHIR as periods."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidValue
from gateway.mapping.studies.dates import END_OF_TIME, instant, period_of
from gateway.records.search import Period

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(written: str) -> int:
    return (datetime.fromisoformat(written) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("2026-12", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        ("2026-02", "2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ("2026-01-16", "2026-01-16T00:00:00+01:00", "2026-01-17T00:00:00+01:00"),
        # The days on which the clocks change have 23 and 25 hours.
        ("2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("2026-01-16T09:05", "2026-01-16T09:05:00+01:00", "2026-01-16T09:06:00+01:00"),
        ("2026-01-16T09:05Z", "2026-01-16T09:05:00+00:00", "2026-01-16T09:06:00+00:00"),
        ("2026-01-16T09:05:59-05:30", "2026-01-16T14:35:59+00:00", "2026-01-16T14:36:00+00:00"),
        ("2026-01-16T09:05:59.25Z", "2026-01-16T09:05:59.250000+00:00", "2026-01-16T09:05:59.260000+00:00"),
        ("2026-01-16T09:05:60Z", "2026-01-16T09:05:59+00:00", "2026-01-16T09:06:00+00:00"),
        ("2026-01-16T09:05:59.123456789Z", "2026-01-16T09:05:59.123456+00:00", "2026-01-16T09:05:59.123457+00:00"),
    ],
)
def test_a_date_covers_what_it_leaves_open(written: str, first: str, last: str) -> None:
    assert period_of(written, BERLIN) == Period(micros(first), micros(last))


@pytest.mark.parametrize(
    "written", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"]
)
def test_the_last_year_means_no_end(written: str) -> None:
    first, last = period_of(written, BERLIN)
    assert micros("2200-01-01T00:00:00+00:00") < first < last
    assert last >= END_OF_TIME


@pytest.mark.parametrize(
    "written",
    ["", "26", "2026-13", "2026-00", "2026-02-30", "2026-01-16T24:00:00Z", "2026-01-16T09", "2026-01-16 09:05",
     "2026-01-16T09:05:61Z", "0000", "2026-01-16T09:05:00+25:00", "٢٠٢٦", "2026-01-16T09:05:00.Z"],
)  # fmt: skip
def test_what_is_no_date_is_refused(written: str) -> None:
    with pytest.raises(InvalidValue):
        period_of(written, BERLIN)


@given(st.text(alphabet="0123456789-:.TZ+ ", max_size=32))
def test_nothing_but_a_refusal_comes_of_anything(written: str) -> None:
    try:
        period = period_of(written, BERLIN)
    except InvalidValue:
        return
    assert period.first < period.last


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_every_day_lies_in_its_month_and_its_year(day: date) -> None:
    inner, month, year = (period_of(day.isoformat()[:length], BERLIN) for length in (10, 7, 4))
    assert year.first <= month.first <= inner.first < inner.last <= month.last <= year.last


@given(st.integers(0, 4_000_000_000_000_000))
def test_an_instant_is_read_as_the_millisecond_it_was(moment: int) -> None:
    period = period_of(instant(moment), UTC)
    assert period.first <= moment < period.last
    assert period.last - period.first == 1000
