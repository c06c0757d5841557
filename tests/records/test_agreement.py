"""What instances say together does not depend on the order in which they came."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.records import agreement
from gateway.records.agreement import MUST_AGREE
from gateway.records.identifiers import SOPInstanceUID
from gateway.records.order import Attributes

KEYWORDS = ["SeriesDescription", "BodyPartExamined", *(keyword for group in MUST_AGREE for keyword in group)]
STATED = st.dictionaries(st.sampled_from(KEYWORDS), st.sampled_from(["L", "R", "x"]))


def together(instances: list[tuple[str, Attributes]]) -> Attributes:
    return agreement.together([(SOPInstanceUID(uid), values) for uid, values in instances])[0]


@given(st.dictionaries(st.from_regex(r"1\.[0-9]{1,3}", fullmatch=True), STATED, max_size=8), st.randoms())
def test_any_order_gives_one_result(by_uid: dict[str, Attributes], shuffled: random.Random) -> None:
    instances = list(by_uid.items())
    first = together(instances)
    shuffled.shuffle(instances)
    assert together(instances) == first


def test_the_lowest_uid_counts_and_others_fill_gaps() -> None:
    instances: list[tuple[str, Attributes]] = [("1.2", {"A": "2", "B": "2"}), ("1.1", {"A": "1"}), ("1.3", {"C": "3"})]
    assert together(instances) == {"A": "1", "B": "2", "C": "3"}


def test_an_instance_sent_again_corrects_what_it_said() -> None:
    assert together([("1.1", {"A": "wrong"}), ("1.2", {"A": "another"}), ("1.1", {"A": "right"})]) == {"A": "right"}


def test_sides_that_differ_are_no_side() -> None:
    assert together([("1.1", {"Laterality": "L"}), ("1.2", {"Laterality": "R"}), ("1.3", {"Laterality": "L"})]) == {}
    assert together([("1.1", {"Laterality": "L"}), ("1.2", {"Laterality": "L"})]) == {"Laterality": "L"}


def test_sides_in_different_attributes_are_compared() -> None:
    assert (
        together([("1.1", {"Laterality": "L"}), ("1.2", {"FrameLaterality": "R"}), ("1.3", {"Laterality": "L"})]) == {}
    )
    assert together([("1.2", {"FrameLaterality": ["L", "R"]}), ("1.1", {"FrameLaterality": "L"})]) == {}
    agreeing: list[tuple[str, Attributes]] = [("1.1", {"Laterality": "L"}), ("1.2", {"ImageLaterality": "L"})]
    assert together(agreeing) == {"Laterality": "L", "ImageLaterality": "L"}


def test_modifiers_that_differ_leave_the_side_alone() -> None:
    front, back = [{"CodeValue": "255549009"}], [{"CodeValue": "255551008"}]
    modified: list[tuple[str, Attributes]] = [
        ("1.1", {"Laterality": "L", "AnatomicRegionModifierSequence": front}),
        ("1.2", {"AnatomicRegionModifierSequence": back}),
    ]
    assert together(modified) == {"Laterality": "L"}
