"""What of a text may leave."""

from __future__ import annotations

from datetime import UTC, date

import pytest

from gateway.operations.export import cleaning
from gateway.operations.export.order_rows import local


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("CTCHEST", "CTCHEST"), ("RPID16", "RPID16"), ("77477000", "77477000"), ("71260-TC", "71260-TC"),
        ("Thorax of Mr Muster", None), ("Muster", None), ("CT4711", None), ("mus", None), ("", None), ("é1", None),
        ("=1+1", None), ("A" * 17, None),
    ],
)  # fmt: skip
def test_codes_are_kept_and_texts_and_identities_are_not(code: str, kept: str | None) -> None:
    assert cleaning.code(code, cleaning.words_of("Muster^Erika", "HOSP|4711")) == kept


@pytest.mark.parametrize(
    ("written", "number"), [("1", 1), (" 12 ", 12), ("99999", 99_999), ("1234567", None), ("-1", None), ("1a", None)]
)
def test_numbers_that_count_are_kept(written: str, number: int | None) -> None:
    assert cleaning.number(written) == number


@pytest.mark.parametrize(
    ("uid", "kept"), [("1.2.840.10008.5.1.4.1.1.2", True), ("1.2.840.113619.4.27", False), ("1.2.840.10008x", False)]
)
def test_uids_of_vendors_are_not_kept(uid: str, kept: bool) -> None:
    assert (cleaning.standard_uid(uid) == uid) is kept


@pytest.mark.parametrize(
    ("born", "years"),
    [("19300317", 90), ("19360105", 90), ("19360106", 89), ("20260104", 0), ("20260106", None), ("18000101", None),
     ("1930", None), ("x", None)],
)  # fmt: skip
def test_ages_above_89_are_one(born: str, years: int | None) -> None:
    assert cleaning.age(born, date(2026, 1, 5)) == years


def test_a_scheme_of_the_site_is_not_named() -> None:
    assert [cleaning.scheme(text) for text in ("SCT", "99HOSPITAL", "")] == ["SCT", "local", None]


def test_a_retained_text_is_one_line_and_no_formula() -> None:
    assert cleaning.retained("=CT\n1") == "CT 1"
    assert cleaning.retained("==") is None


@pytest.mark.parametrize(
    ("day", "clock", "moment"),
    [
        ("20260105", "103000", 1_767_609_000), ("20260105", "1030", 1_767_609_000),
        ("20260105", "103000.5", 1_767_609_000), ("20260105", "", 1_767_571_200), ("20260105", "99", 1_767_571_200),
        ("20269999", "10", None), ("", "1030", None),
        ("2026.01.05", "", None), ("00010101", "", None),
    ],
)  # fmt: skip
def test_dates_and_times_are_read(day: str, clock: str, moment: int | None) -> None:
    found = local(day, clock, UTC)
    assert (found is None or found < 0) if moment is None else found == moment * 1_000_000
