"""A wall clock that somebody sets is noticed."""

from __future__ import annotations

import logging

import pytest

from gateway.observe import metrics
from gateway.work.clock_watch import ClockWatch
from tests.conftest import Time

SECOND = 1_000_000
HOUR = 3600


@pytest.fixture
def elapsed() -> Time:
    return Time()


def test_a_jump_is_logged_and_counted_once(clock: Time, elapsed: Time, caplog: pytest.LogCaptureFixture) -> None:
    watch = ClockWatch(clock, elapsed)
    back = metrics.CLOCK_JUMPS.labels("back")
    before = back._value.get()
    for _ in range(3):
        clock.pass_seconds(1)
        elapsed.pass_seconds(1)
        watch.look()
    assert (watch.shown(), caplog.messages) == ("steady", [])
    clock.pass_seconds(-HOUR)
    for _ in range(3):
        watch.look()
    assert caplog.messages == ["the wall clock went back by 3600 s; nothing waits longer for it"]
    assert caplog.records[0].levelno == logging.WARNING
    assert watch.shown() == "went back by 3600 s at 2030-03-17T16:46:43Z, by its new time"
    assert back._value.get() == before + 1


def test_a_clock_that_is_corrected_slowly_does_not_jump(
    clock: Time, elapsed: Time, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ClockWatch(clock, elapsed)
    for _ in range(100):
        clock.pass_seconds(1.5)
        elapsed.pass_seconds(1)
        watch.look()
    assert caplog.messages == []


def test_nothing_becomes_old_because_the_clock_is_set_forward(clock: Time, elapsed: Time) -> None:
    watch = ClockWatch(clock, elapsed)
    early = clock.now
    clock.pass_seconds(HOUR)
    elapsed.pass_seconds(HOUR)
    watch.look()
    clock.pass_seconds(24 * HOUR)
    late = clock.now
    assert (watch.since(early), watch.since(late)) == (HOUR * SECOND, 0)
    clock.pass_seconds(60)
    elapsed.pass_seconds(60)
    assert (watch.since(early), watch.since(late)) == ((HOUR + 60) * SECOND, 60 * SECOND)
    clock.pass_seconds(-24 * HOUR)
    assert watch.since(early) == (HOUR + 60) * SECOND
