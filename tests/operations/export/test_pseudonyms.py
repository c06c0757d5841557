"""Pseudonyms are stable, differ, and lead nowhere without the key; the key is a file that only its owner reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from gateway.errors import ConfigError
from gateway.operations.export.key_file import secret_of
from gateway.operations.export.pseudonyms import DAY_MICROS, FEWEST_WEEKS, WEEK, WEEKS, Pseudonyms

ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


@given(st.text(), st.text())
def test_equal_values_have_equal_pseudonyms_and_others_do_not(value: str, other: str) -> None:
    assert ONE.of("patient", value) == Pseudonyms(b"1" * 32).of("patient", value)
    assert ONE.of("patient", value) not in (ONE.of("order", value), OTHER.of("patient", value))
    assert (ONE.of("patient", value) == ONE.of("patient", other)) is (value == other)


@given(st.text("0123456789.", min_size=1, max_size=64))
def test_uids_are_valid_and_of_the_key(value: str) -> None:
    uid = ONE.uid(value)
    assert (UID(uid).is_valid, uid == ONE.uid(value), uid == OTHER.uid(value)) == (True, True, False)


@given(st.text())
def test_days_are_whole_weeks_between_two_and_twelve_years(patient: str) -> None:
    weeks, rest = divmod(ONE.shift(patient), WEEK * DAY_MICROS)
    assert (rest, FEWEST_WEEKS <= weeks < FEWEST_WEEKS + WEEKS) == (0, True)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "export.key"
    secret, is_new = secret_of(path)
    assert (is_new, stat.S_IMODE(path.stat().st_mode), len(secret)) == (True, 0o600, 32)
    assert secret_of(path) == (secret, False)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_read_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "export.key"
    secret_of(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        secret_of(path)


@pytest.mark.parametrize("content", ["", "00ff", "x" * 64, "0" * 65])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "export.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        secret_of(path)


def test_a_key_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        secret_of(tmp_path / "none" / "export.key")
