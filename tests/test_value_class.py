"""Value classes behave as frozen dataclasses do, but for the guard at run time."""

from __future__ import annotations

import copy
import pickle
from dataclasses import field, fields, replace

import pytest

from gateway.value_class import value_class


@value_class
class Point:
    across: int
    up: int = 0
    notes: tuple[str, ...] = field(default=(), compare=False)


def test_values_are_compared_and_hashed_by_their_fields() -> None:
    assert Point(1, 2) == Point(1, 2, ("seen",)) != Point(1)
    assert {Point(1): "first"}[Point(1)] == "first"
    assert replace(Point(1), up=3) == Point(1, 3)
    assert [one.name for one in fields(Point)] == ["across", "up", "notes"]


def test_values_are_copied_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(Point(1, 2))) == copy.deepcopy(Point(1, 2)) == Point(1, 2)


def test_a_value_has_its_fields_and_no_others() -> None:
    with pytest.raises(AttributeError):
        setattr(Point(1), "aside", 2)  # noqa: B010
