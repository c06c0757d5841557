"""Hours of the day by the clock of a site, over midnight and over the turns of summer time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.records.windows import Windows

BERLIN = ZoneInfo("Europe/Berlin")


def at(written: str) -> int:
    return round(datetime.fromisoformat(written).replace(tzinfo=BERLIN).timestamp() * 1e6)


def windows(*written: str) -> Windows:
    made = Windows.of(written, BERLIN)
    assert made is not None
    return made


def test_without_hours_there_is_no_limit() -> None:
    assert Windows.of([], BERLIN) is None


@pytest.mark.parametrize(
    ("written", "moment", "opens_at"),
    [
        (["22:00-06:00"], "2026-11-29T22:00", None),
        (["22:00-06:00"], "2026-11-29T05:59:59", None),
        (["22:00-06:00"], "2026-11-29T06:00", "2026-11-29T22:00"),
        (["22:00-06:00"], "2026-11-29T21:59:59", "2026-11-29T22:00"),
        (["12:00-13:00"], "2026-11-29T13:00", "2026-11-30T12:00"),
        (["12:00-13:00", "18:00-19:00"], "2026-11-29T13:00", "2026-11-29T18:00"),
        (["18:00-19:00", "12:00-13:00"], "2026-12-31T19:30", "2027-01-01T12:00"),
        (["00:00-00:00"], "2026-11-29T13:00", None),
        # Summer time ends at 03:00 and begins at 02:00.
        (["04:00-05:00"], "2026-10-25T01:00", "2026-10-25T04:00"),
        (["04:00-05:00"], "2026-03-29T01:00", "2026-03-29T04:00"),
    ],
)
def test_when_they_open(written: list[str], moment: str, opens_at: str | None) -> None:
    hours = windows(*written)
    assert hours.opens_at(at(moment)) == (None if opens_at is None else at(opens_at))
    assert hours.is_open(at(moment)) is (opens_at is None)


def test_the_hour_is_shown_by_the_clock_of_the_site() -> None:
    assert windows("22:00-06:00").shown(at("2026-07-01T22:00")) == "22:00"
