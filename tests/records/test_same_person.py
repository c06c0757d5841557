"""Names, dates and sexes of one person as two systems write them."""

from __future__ import annotations

import pytest

from gateway.records.same_person import is_same_date, is_same_name, is_same_sex


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MUSTER^MAX", "Muster^Max"),
        ("Müller^Jörg", "MULLER^JORG"),
        ("Müller^Jörg", "Mueller^Joerg"),
        ("Müller^Jörg", "M?ller^J?rg"),
        ("Müller^Jörg", "M??ller^J\ufffdrg"),
        ("Strauß^Ana", "STRAUSS^ANA"),
        ("MUSTER^MAX^^Prof. Dr.", "MUSTER^MAX"),
        ("MUSTER^MAX^PETER", "MUSTER^MAX"),
        ("MUSTER^MAX", "MAX^MUSTER"),
        ("MUSTER^M", "MUSTER^MAX"),
        ("MUSTER", "MUSTER^MAX"),
        ("von der Heide^Eva", "HEIDE^EVA"),
        ("Meier-Schulze^Eva", "Meier Schulze^Eva"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^太郎"),
        ("Yamada^Tarou=山田^太郎", "山田^太郎"),
        ("Yamada^Tarou", "山田^太郎"),
        ("", "MUSTER^MAX"),
        ("Le^Anh", "Anh Le"),
        ("Dr. MUSTER^MAX^^^Jr.", "MUSTER^MAX^^Herr"),
    ],
)
def test_one_person_s_name(one: str, other: str) -> None:
    assert is_same_name(one, other)
    assert is_same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MUSTER^MAX", "MUSTER^ERIKA"),
        ("MUSTER^MAX", "MEIER^MAX"),
        ("MUSTER^M", "MEIER^M"),
        ("Yamada^Tarou=山田^太郎", "=山田^次郎"),
        ("M", "MAX"),
        ("Le^Anh", "Tran^Anh"),
    ],
)
def test_names_of_two(one: str, other: str) -> None:
    assert not is_same_name(one, other)
    assert not is_same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("19800102", "19800102", True),
        ("19800102", "19800103", False),
        ("19800102", "19800000", True),
        ("19800102", "1980", True),
        ("19800102", "1981", False),
        ("1980-01-02", "19800102", True),
        ("00000000", "19800102", True),
    ],
)
def test_dates(one: str, other: str, same: bool) -> None:
    assert is_same_date(one, other) is same
    assert is_same_date(other, one) is same


def test_sexes() -> None:
    assert not is_same_sex("M", "F")
    assert all(is_same_sex(one, other) for one, other in (("M", "m"), ("O", "F"), ("", "M"), ("M", "U")))
