"""Times of performed steps: the modality's own, where its clock can be believed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.records.performed_times import event_time

BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = round(datetime(2026, 1, 23, 12, 0, tzinfo=BERLIN).timestamp() * 1_000_000)
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("date", "time", "offset", "before"),
    [
        ("20260123", "110000", "", HOUR),
        ("2026.01.23", "11:00", "", HOUR),
        ("20260123", "115959.5", "", 500_000),
        ("20260123", "12", "", 0),
        ("20260122", "120000", "", 24 * HOUR),
        ("20260123", "100000", "+0000", HOUR),
        ("20260123", "110000", "odd", HOUR),
        # Not to be believed: more than a day ago, in the future, no date or time.
        ("20260122", "115959", "", 0),
        ("20260123", "120001", "", 0),
        ("20261399", "110000", "", 0),
        ("20260123", "", "", 0),
        ("", "110000", "", 0),
        ("20260123", "2530", "", 0),
        ("00010101", "000000", "+1400", 0),
    ],
)
def test_the_time_of_an_event(date: str, time: str, offset: str, before: int) -> None:
    attributes = {
        "PerformedProcedureStepStartDate": date,
        "PerformedProcedureStepStartTime": time,
        "TimezoneOffsetFromUTC": offset,
    }
    assert event_time(attributes, "Start", received_at=RECEIVED, zone=BERLIN) == RECEIVED - before
    assert event_time(attributes, "End", received_at=RECEIVED, zone=BERLIN) == RECEIVED
