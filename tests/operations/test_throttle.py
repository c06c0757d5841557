"""How often a secret may be guessed, by account and address."""

from __future__ import annotations

import pytest

from gateway.operations.people import throttle
from gateway.operations.people.throttle import ACCOUNT, ACCOUNT_AT_ADDRESS, ADDRESS, Throttle


class Elapsed:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


def test_a_few_at_once_and_then_one_after_each_pause() -> None:
    elapsed = Elapsed()
    asked = Throttle(elapsed)
    assert [asked.take("ada", "10.0.0.1") for _ in range(ACCOUNT_AT_ADDRESS.tries)] == [0.0] * 5
    assert asked.take("ada", "10.0.0.1") == 30
    elapsed.pass_seconds(29)
    assert asked.take("ada", "10.0.0.1") == 1
    elapsed.pass_seconds(1)
    assert asked.take("ada", "10.0.0.1") == 0
    assert asked.take("ada", "10.0.0.1") == 30


def test_whoever_guesses_elsewhere_does_not_shut_out_the_user_but_many_do() -> None:
    asked = Throttle(Elapsed())
    for _ in range(60):
        asked.take("ada", "6.6.6.6")
    assert asked.take("ada", "10.0.0.1") == 0
    for number in range(ACCOUNT.tries):
        asked.take("ada", f"6.6.7.{number}")
    assert asked.take("ada", "10.0.0.2") > 0


def test_an_address_that_tries_many_accounts_waits_and_an_ipv6_site_is_one() -> None:
    asked = Throttle(Elapsed())
    for number in range(ADDRESS.tries):
        assert asked.take(f"user{number}", f"2001:db8::{number:x}") == 0
    assert asked.take("another", "2001:db8::ffff") == 3
    assert asked.take("another", "2001:db8:1::1") == 0


def test_a_right_password_clears_what_was_used_up() -> None:
    asked = Throttle(Elapsed())
    for _ in range(4):
        asked.take("ada", "10.0.0.1")
    asked.take("ada", "10.0.0.1")
    asked.give_back("ada", "10.0.0.1")
    assert [asked.take("ada", "10.0.0.1") for _ in range(5)] == [0.0] * 5


def test_it_keeps_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST_KEPT", 10)
    asked = Throttle(Elapsed())
    for number in range(100):
        asked.take(f"user{number}", f"10.0.0.{number}")
    assert len(asked._used) <= 10
