"""How long a station is waited for."""

from __future__ import annotations

import pytest

from gateway.records.quiet_time import FEWEST_STUDIES, LearningRule, QuietTimes, learnt

RULE = LearningRule(90, least=5, most=300)
TIMES = QuietTimes(30, {"US": 120}, {"US1": 60})


@pytest.mark.parametrize(
    ("station", "modality", "expected"), [("CT1", "CT", 30), ("US2", "US", 120), ("US1", "US", 60), ("", "", 30)]
)
def test_what_is_learnt_counts_before_the_modality(station: str, modality: str, expected: int) -> None:
    assert TIMES.of(station, modality) == expected


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ([10] * FEWEST_STUDIES, {"US1": 15}),
        ([10] * (FEWEST_STUDIES - 1), {}),
        ([1] * FEWEST_STUDIES, {"US1": 5}),
        ([10_000] * FEWEST_STUDIES, {"US1": 300}),
        ([10] * 18 + [10_000] * 2, {"US1": 15}),
        ([10] * 17 + [100] * 3, {"US1": 150}),
    ],
)
def test_the_pauses_of_a_station_give_its_quiet_time(pauses: list[int], expected: dict[str, int]) -> None:
    assert learnt({"US1": pauses}, RULE) == expected
