"""What a try that failed comes to."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gateway.errors import Fate, GatewayError, NeedsPerson, Rejected, Unavailable, Unexplained
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.row_ids import WorkRow
from gateway.records.work import Lane, Work
from gateway.work.failures import LONGEST_WAIT_SECONDS, MOST_UNEXPLAINED, fate_of, pause_after
from tests.store.work import KIND


def tried(attempts: int, **payload: object) -> Work:
    return Work(WorkRow(1), Lane(KIND, StudyInstanceUID("a")), payload, attempts, "x", 0)


def test_pauses_double_up_to_the_longest() -> None:
    def pauses(attempts: int, error: GatewayError) -> list[float]:
        work = tried(attempts)
        return sorted(pause_after(work, error, 2, 600) for _ in range(300))

    away = Unavailable("away")
    for attempts, longest in [(0, 2), (1, 4), (2, 8), (8, 512), (9, 600), (1000, 600)]:
        given = pauses(attempts, away)
        assert longest * 0.75 <= given[0] < given[-1] <= longest
    for one, two in pairwise(pauses(n, away)[-1] for n in range(12)):
        assert two > one * 0.9
    for asked, pause in [(120.0, 120.0), (0.0, 2.0), (1e12, LONGEST_WAIT_SECONDS)]:
        assert set(pauses(3, Unavailable("away", retry_after=asked))) == {pause}


@pytest.mark.parametrize(
    ("error", "fate"),
    [(Unavailable("away"), Fate.RETRY), (NeedsPerson("ask"), Fate.PARK), (Rejected("no"), Fate.REJECT)],
)
def test_an_error_with_a_reason_has_its_own_fate_and_counts_nothing(error: GatewayError, fate: Fate) -> None:
    work = tried(99, instance=1, doubts=2)
    assert fate_of(work, error) == (fate, work.payload)


@pytest.mark.parametrize("outages", [0, 3, 40])
def test_only_failures_without_a_reason_bring_work_to_a_person(outages: int) -> None:
    errors: list[GatewayError] = [Unexplained("0110")] * MOST_UNEXPLAINED + [Unavailable("away")] * outages
    work, fates = tried(0, instance=1), list[Fate]()
    last = errors.pop(0)
    random.Random(outages).shuffle(errors)
    for attempt, error in enumerate([*errors, last]):
        fate, payload = fate_of(tried(attempt, **work.payload), error)
        work = tried(attempt, **payload)
        fates.append(fate)
    assert fates == [Fate.RETRY] * (len(errors)) + [Fate.PARK]
    assert work.payload == {"instance": 1}, "whoever sends the work again begins anew"
