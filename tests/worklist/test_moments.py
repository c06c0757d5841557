"""Date and time keys: the table of start date and time, ranges, precision, malformed values."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidValue
from gateway.worklist.prefilter import prefilter_of
from tests.worklist.worklist_items import STEP, item, matches, of_dataset, worklist

pytestmark = pytest.mark.filterwarnings("ignore:.*nvalid value for VR", "ignore:A value of type")

DAY = "20240706"


@pytest.mark.parametrize(
    ("date", "time_", "expected"),
    [
        # table of date and time keys; the step starts on 6 July at 12:30
        ("", "", True),
        ("20240706", "", True),
        ("20240707", "", False),
        ("20240705-20240706", "", True),
        ("20240706-20240708", "", True),
        ("20240707-20240708", "", False),
        ("20240706-", "", True),
        ("20240707-", "", False),
        ("-20240706", "", True),
        ("-20240705", "", False),
        ("", "1230", True),
        ("", "12", False),
        ("", "1200-1300", True),
        ("", "1300-1400", False),
        ("", "1230-", True),
        ("", "-1229", False),
        ("20240706", "1230", True),
        ("20240706", "1200-1300", True),
        ("20240706", "1300-1400", False),
        ("20240705", "1200-1300", False),
        # one interval of instants (T2): times of day outside their own range
        ("20240705-20240707", "1800-1000", True),
        ("20240705-20240706", "1800-1000", False),
        ("20240706-20240707", "1231-1000", False),
        ("20240705-", "1800-", True),
        ("20240706-", "1231-", False),
        ("20240706-", "1230-", True),
        ("-20240707", "-1000", True),
        ("-20240706", "-1229", False),
        ("-20240706", "-1230", True),
        # forms that differ are independent (T3)
        ("20240705-20240707", "1230", True),
        ("20240705-20240707", "1800", False),
        ("20240705-20240707", "1800-", False),
        ("20240705-20240707", "-1000", False),
        ("20240705-20240707", "-1300", True),
        ("20240705-", "1800-2000", False),
        ("-20240707", "1200-1300", True),
        # precision of bounds
        ("20240706", "12-12", True),
        ("20240706", "-12", True),
        ("20240706", "-1230", True),
        ("20240706", "13-", False),
        ("20240706", "123000", True),
        ("20240706", "123000.000000", True),
        ("20240706", "123001", False),
        # lenient forms
        ("20240706- ", "", True),
        ("20240705 - 20240706", "", True),
        ("2024.07.06", "", True),
        ("2024.07.05-2024.07.06", "", True),
        ("", "12:30", True),
        ("", "12:00-12:30:00", True),
        ("*", "*", True),
        ("*", "1300-1400", False),
    ],
)
def test_start_date_and_time(date: str, time_: str, expected: bool) -> None:
    identifier = worklist(ScheduledProcedureStepStartDate=date, ScheduledProcedureStepStartTime=time_)
    assert matches(identifier, item()) is expected
    if expected:
        found = prefilter_of(of_dataset(identifier))
        assert found.date_from is None or found.date_from <= DAY
        assert found.date_to is None or found.date_to >= DAY


@pytest.mark.parametrize(
    ("stored", "key", "expected"),
    [
        ("185959.999999", "-18", True),
        ("190000", "-18", False),
        ("185930", "-1859", True),
        ("235960", "2359-", True),
        ("", "0000-2359", False),
        ("nonsense", "0000-2359", False),
        ("10", "1000", True),
        ("2230", "223000", True),
        ("2300", "2200-0100", False),
    ],
)
def test_stored_times(stored: str, key: str, expected: bool) -> None:
    identifier = worklist(ScheduledProcedureStepStartTime=key)
    assert matches(identifier, item(ScheduledProcedureStepStartTime=stored)) is expected


@pytest.mark.parametrize(
    ("stored", "key", "expected"),
    [
        ("20240706123000", "20240706", False),
        ("20240706", "20240706000000", True),
        ("20240706123000", "20240706-20240706", True),
        ("20240706123000", "202407-", True),
        ("20240731235959", "-202407", True),
        ("20240801", "-202407", False),
        ("20241231", "2024-2024", True),
        ("20240706123000.5+0200", "20240706103000.5+0000", True),
        ("20240706123000+0200", "20240706100000+0000-20240706110000+0000", True),
        ("20240706123000-0500", "20240706173000+0000-20240706173000+0000", True),
        ("20240706", "2024-0500", False),  # a hyphen is a range: 2024 to the year 500
        ("20240706123000", "20240706120000-0500-20240706130000-0500", False),
    ],
)
def test_date_times(stored: str, key: str, expected: bool) -> None:
    identifier = worklist(ScheduledProcedureStepStartDateTime=key)
    assert matches(identifier, item(ScheduledProcedureStepStartDateTime=stored)) is expected


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ScheduledProcedureStepStartDate", "2024"),
        ("ScheduledProcedureStepStartDate", "20240230"),
        ("ScheduledProcedureStepStartDate", "-"),
        ("ScheduledProcedureStepStartDate", "20240101-20240230"),
        ("ScheduledProcedureStepStartDate", "20240101-20240102-20240103"),
        ("ScheduledProcedureStepStartDate", "2024*"),
        ("ScheduledProcedureStepStartDate", "2024070620240707"),
        ("ScheduledProcedureStepStartDate", "today"),
        ("ScheduledProcedureStepStartTime", "2500"),
        ("ScheduledProcedureStepStartTime", "1"),
        ("ScheduledProcedureStepStartTime", "126000"),
        ("ScheduledProcedureStepStartTime", "noon"),
        ("ScheduledProcedureStepStartDateTime", "20240706-nine"),
        ("PatientBirthDate", "1980"),
    ],
)
def test_malformed_dates_and_times_are_named(keyword: str, value: str) -> None:
    identifier = worklist()
    level = identifier.ScheduledProcedureStepSequence[0] if keyword in STEP else identifier
    level.add_new(keyword, _vr(keyword), value)
    for ask in (lambda: matches(identifier, item()), lambda: prefilter_of(of_dataset(identifier))):
        with pytest.raises(InvalidValue) as caught:
            ask()
        assert caught.value.place == keyword
        assert value not in caught.value.message


def _vr(keyword: str) -> str:
    return "DT" if keyword.endswith("DateTime") else keyword[-4:].replace("Date", "DA").replace("Time", "TM")
