from __future__ import annotations

from typing import Any

from gateway.operations.resource_difference import MOST_LINES, difference


def test_equal_resources_are_equal_whatever_the_order_of_their_keys() -> None:
    assert difference({"a": 1, "b": 2}, {"b": 2, "a": 1}).is_equal


def test_what_differs_is_marked_and_what_is_equal_is_folded() -> None:
    many = {f"k{number:02}": number for number in range(20)}
    both = difference({**many, "z": "old"}, {**many, "z": "new", "zz": 1})
    assert [(one.text.strip(), one.mark) for one in both.sent] == [
        ("… 18 equal lines", "gap"), ('"k17": 17,', ""), ('"k18": 18,', ""), ('"k19": 19,', ""),
        ('"z": "old"', "removed"), ("}", ""),
    ]  # fmt: skip
    assert [one.text.strip() for one in both.now if one.mark == "added"] == ['"z": "new",', '"zz": 1']
    assert not both.is_equal


def test_what_is_too_long_is_cut() -> None:
    long: dict[str, Any] = {"series": list(range(MOST_LINES))}
    both = difference({}, long)
    assert both.is_cut
    assert len(both.now) == MOST_LINES
