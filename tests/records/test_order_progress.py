"""What an order has come to, over all sets of states of its steps."""

from __future__ import annotations

from itertools import chain, combinations

import pytest

from gateway.records.order_progress import Progress, progress_of_states
from gateway.records.step import StepState

S, P = StepState, Progress


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), P.SCHEDULED),
        ((S.ARRIVED, S.HELD), P.SCHEDULED),
        ((S.STARTED, S.COMPLETED, S.SCHEDULED), P.STARTED),
        ((S.COMPLETED, S.SCHEDULED), P.PARTLY),
        ((S.DISCONTINUED, S.READY, S.CANCELED), P.PARTLY),
        ((S.COMPLETED, S.DISCONTINUED, S.CANCELED), P.COMPLETED),
        ((S.DISCONTINUED, S.CANCELED), P.DISCONTINUED),
        ((S.CANCELED,), P.CANCELED),
    ],
)
def test_examples(states: tuple[StepState, ...], expected: Progress) -> None:
    assert progress_of_states(set(states)) is expected


def test_every_set_of_states_comes_to_something() -> None:
    every = chain.from_iterable(combinations(S, size) for size in range(len(S) + 1))
    for states in every:
        progress = progress_of_states(states)
        assert (progress is P.STARTED) == (S.STARTED in states)
        assert progress is not P.COMPLETED or not {S.SCHEDULED, S.ARRIVED, S.READY, S.HELD} & set(states)
