"""Which scheduled step a person means."""

from __future__ import annotations

import pytest

from gateway.errors import Conflict, UnknownKey
from gateway.records.link_target import meant
from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, nearest_item
from gateway.records.performed_step import ScheduledItem
from gateway.records.row_ids import OrderRow


def step(step_id: str, order: int = 1, study: str = "1.2") -> Candidate:
    return Candidate(OrderRow(order), study, "RP1", step_id, Identity("P", ""))


ONE, TWO, THREE = step("S1"), step("S2"), step("S1", order=2)


def test_what_tells_a_step_from_others() -> None:
    assert meant([ONE], "") == meant([ONE, TWO], "S1") == ONE
    assert meant([ONE, TWO, THREE], "S2") == TWO


@pytest.mark.parametrize(
    ("steps", "step_id", "error", "text"),
    [
        ([], "", UnknownKey, "no such order"),
        ([ONE, TWO], "S9", UnknownKey, "the steps are S1, S2"),
        ([ONE, TWO], "", Conflict, "name the step: S1, S2"),
        ([ONE, THREE], "", Conflict, "name the order: 1, 2"),
    ],
)
def test_what_is_missing_is_named(steps: list[Candidate], step_id: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        meant(steps, step_id)


def test_the_item_that_a_link_by_hand_is_for() -> None:
    items = [ScheduledItem("9", "", "", ""), ScheduledItem("8", "", "", "RP1"), ScheduledItem("1.2", "S1", "", "")]
    assert nearest_item(items, ONE) == 2
    assert nearest_item(items[:2], ONE) == 1
    assert nearest_item(items[:1], ONE) == 0
    assert nearest_item([], ONE) is None
