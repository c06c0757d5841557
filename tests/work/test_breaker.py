"""An EHR that does not answer is left alone, and noticed when it answers again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.observe import metrics
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.work.breaker import FAILURES, Breaker
from tests.conftest import Time, until
from tests.journey.running import Start, quiet
from tests.journey.test_study_arrival import sample, send

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Whether a breaker opens is settled in memory."""


def breaker(clock: Time) -> Breaker:
    return Breaker("test", clock, first_seconds=2.0, longest_seconds=10.0)


def opened(clock: Time) -> Breaker:
    one = breaker(clock)
    for _ in range(FAILURES):
        one.failed(None)
    return one


def test_it_opens_after_so_many_failures_in_a_row_only(clock: Time) -> None:
    one = breaker(clock)
    for _ in range(3):
        for _ in range(FAILURES - 1):
            one.failed(None)
            assert (one.admits(8, 0), one.opens_in()) == (8, 0.0)
        one.answered()
    assert opened(clock).admits(8, 0) == 0


def test_pauses_double_up_to_the_longest_and_an_answer_ends_them(clock: Time) -> None:
    one = opened(clock)
    pauses = []
    for _ in range(5):
        pauses.append(one.opens_in())
        clock.pass_seconds(one.opens_in() - 0.001)
        assert one.admits(8, 0) == 0
        clock.pass_seconds(0.001)
        # One try, and no second one beside it.
        assert (one.admits(8, 0), one.admits(7, 1)) == (1, 0)
        one.failed(None)
    assert pauses == [2.0, 4.0, 8.0, 10.0, 10.0]
    one.answered()
    assert (one.is_open, one.admits(8, 0)) == (False, 8)
    for _ in range(FAILURES):
        one.failed(None)
    assert one.opens_in() == 2.0


def test_those_that_were_under_way_when_it_opened_make_the_pause_no_longer(clock: Time) -> None:
    one = opened(clock)
    for _ in range(8):
        one.failed(None)
    assert one.opens_in() == 2.0


@pytest.mark.parametrize(("asked", "pause"), [(0.5, 2.0), (7.0, 7.0), (3600.0, 10.0)])
def test_what_the_ehr_asks_for_is_heeded_within_bounds(clock: Time, asked: float, pause: float) -> None:
    one = breaker(clock)
    for _ in range(FAILURES):
        one.failed(asked)
    assert one.opens_in() == pause


def studies(count: int) -> list[Any]:
    """An instance of each."""
    made: list[Any] = [sample() for _ in range(count)]
    for number, dataset in enumerate(made):
        dataset.StudyInstanceUID = f"2.25.{number}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}.1"
    return made


@sqlite
async def test_an_ehr_that_is_away_is_asked_by_one_and_then_gets_everything(start: Start) -> None:
    """Fifteen studies wait for an EHR that answers 503: not each of them asks again and again."""
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        ehr.manners = Manners(fail_next=1_000_000, reads_too=True)
        await send(gateway, *studies(15))

        def refused() -> int:
            return 1_000_000 - ehr.manners.fail_next

        await until(lambda: refused() >= FAILURES + 3)
        # Eight may have been under way when it opened; then one at a time.
        assert refused() <= FAILURES + 8 + 3
        ehr.manners = replace(ehr.manners, fail_next=0)
        await quiet(gateway)
        assert len(ehr.resources("ImagingStudy")) == 15


@sqlite
async def test_what_may_be_the_fault_of_one_study_opens_nothing(start: Start) -> None:
    async with EhrSimulator() as refusing, EhrSimulator() as failing, start(refusing.url, failing.url) as gateway:
        for ehr, status in ((refusing, 422), (failing, 500)):
            ehr.manners = Manners(fail_next=FAILURES + 2, status=status)
        await send(gateway, *studies(FAILURES + 3))
        await until(lambda: refusing.manners.fail_next == failing.manners.fail_next == 0)
        assert [metrics.EHR_OPEN.labels(name)._value.get() for name in ("ehr0", "ehr1")] == [0, 0]
        await quiet(gateway)
        assert len(refusing.resources("ImagingStudy")) == 1
        assert len(failing.resources("ImagingStudy")) == FAILURES + 3
