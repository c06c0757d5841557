"""Who guesses is slowed down, whatever else that person may do; whoever guesses nothing is not."""

from __future__ import annotations

import pytest

from gateway.operations.people import throttle
from gateway.operations.people.throttle import ACCOUNT, ACCOUNT_AT_ADDRESS, ADDRESS, Throttle

THIEF = "198.51.100.7"
WARD = "192.0.2.10"


def _still() -> int:
    return 0


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


def test_an_address_that_tries_many_accounts_waits_and_an_ipv6_site_is_one() -> None:
    asked = Throttle(Elapsed())
    for number in range(ADDRESS.tries):
        assert asked.take(f"user{number}", f"2001:db8::{number:x}") == 0
    assert asked.take("another", "2001:db8::ffff") == 3
    assert asked.take("another", "2001:db8:1::1") == 0


def test_a_user_who_logs_in_between_may_not_guess_more_of_the_others() -> None:
    limits, guessed = Throttle(_still), 0
    for number in range(10 * ADDRESS.tries):
        guessed += not limits.take(f"user{number}", THIEF)
        if not limits.take("vera", THIEF):
            limits.give_back("vera", THIEF)
    assert guessed <= ADDRESS.tries


def test_guesses_from_many_addresses_do_not_shut_out_where_the_user_has_logged_in() -> None:
    limits = Throttle(_still)
    assert not limits.take("otto", WARD)
    limits.give_back("otto", WARD)
    for number in range(2 * ACCOUNT.tries):
        limits.take("otto", f"198.51.100.{number}")
    assert limits.take("otto", "203.0.113.1"), "the account has no try left"
    waits = [limits.take("otto", WARD) for _ in range(ACCOUNT_AT_ADDRESS.tries + 1)]
    assert waits[:-1] == [0.0] * ACCOUNT_AT_ADDRESS.tries
    assert waits[-1] > 0, "who sits there guesses no more than from elsewhere"


def test_an_ipv6_site_is_written_down_once_and_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "MOST_KEPT", 1_000)
    limits = Throttle(_still)
    first = [limits.is_first_of("token", f"2001:db8::{number:x}") for number in range(100)]
    assert first == [True, *[False] * 99]
    for number in range(throttle.MOST_KEPT + 100):
        limits.is_first_of("token", f"2001:db8:{number:x}::1")
    assert len(limits._used) <= throttle.MOST_KEPT


def test_ipv4_addresses_written_as_ipv6_are_told_apart() -> None:
    limits = Throttle(_still)
    while not limits.take("otto", "::ffff:198.51.100.7"):
        pass
    assert limits.take("otto", THIEF), "the same address"
    assert not limits.take("otto", "::ffff:192.0.2.10")
