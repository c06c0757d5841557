"""What a row gives at once is what it gives when the row is read from the beginning, as each row is that is traced."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Rejected
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.levels import SHAPES
from tests.mapping.samples import MSH, ORM, PID, only, read

FULL = (
    MSH,
    "PID|1||P1^^^HOSPITAL^MR||Doe^Jane^^^Dr||19800102|F||2106-3^White^HL70005|Street 1^^Town||||||||V7^^^HOSPITAL",
    "PV1|1|I|W1^R2^B3|||||7^Ref^Doc|||||||A0|VIP|||V1^^^HOSPITAL",
    "ORC|NW|PL1^RIS|FI1^RIS||SC||1^^^20260116090000^^S||20260115082900|5^Enter^E||1001^Quill^Nora||555|||RAD^Radiology",
    "OBR|1|PL1^RIS|FI1^RIS|CTCHEST^CT chest^L^CTP^Protocol^L||||||||^Diab|allergic|||1001^Quill^Nora||A1|RP1|SPS1||||CT"
    "|||1^^^20260116090000^^R|||WALK|I10^Pain^I10",
    "ZDS|1.2.840.1^RIS^Application^DICOM",
)
WRITTEN = [
    "", '""', "A", " a ^ b ", "^b^c", "A~B", "A&B^C", 'A^""^C', "A\\T\\B", "A\\B", "A=B", "a\tb", "A" * 70, "x" * 300,
    "19800230", "20260116", "202601", "20260116090000+0130", "1.2.840.99", "0.0x", "S", "MR", "\xe9t\xe9", "B\nC",
    "1^2^3^4^5^6^7^8^9",
]  # fmt: skip
"""Of fields: what a reader at once takes, and each thing that it leaves to the reading from the beginning."""


def changed(segment: str, number: int, written: str) -> str:
    fields = segment.split("|")
    fields[number:] = [written, *fields[number + 1 :]] if number < len(fields) else [written]
    return "|".join(fields)


def stated(segments: tuple[str, ...], trace: list[Trace] | None) -> Any:
    """What is read, with the findings, which do not count for equality; or why nothing is."""
    try:
        return [(one, one.findings, one.missing) for one in read(*segments, trace=trace)]
    except Rejected as error:
        return [(type(one), one.message, one.place) for one in (error, *error.others)]


@given(
    st.lists(
        st.tuples(st.integers(1, len(FULL) - 1), st.integers(1, 31), st.sampled_from(WRITTEN)), min_size=1, max_size=4
    )
)
def test_at_once_or_from_the_beginning_it_is_the_same(changes: list[tuple[int, int, str]]) -> None:
    segments = list(FULL)
    for place, number, written in changes:
        segments[place] = changed(segments[place], number, written)
    assert str(stated(tuple(segments), None)) == str(stated(tuple(segments), []))


@pytest.mark.parametrize("place", range(1, len(FULL)))
def test_each_field_may_hold_anything(place: int) -> None:
    """Field by field, each kind of value in one of them."""
    for number in range(1, FULL[place].count("|") + 1):
        written = WRITTEN[(number * 7 + place * 3) % len(WRITTEN)]
        segments = (*FULL[:place], changed(FULL[place], number, written), *FULL[place + 1 :])
        assert str(stated(segments, None)) == str(stated(segments, [])), (FULL[place][:3], number, written)


def test_more_sets_of_stated_fields_than_are_kept_read_alike() -> None:
    for number in range(SHAPES + 50):
        bits = [str(bit) for bit in range(11) if number >> bit & 1]
        pid = PID + "".join(f"|{'X' if str(bit) in bits else ''}" for bit in range(11))
        assert only(MSH, pid, *ORM[2:]).patient["PatientID"] == "P1"


def test_the_fields_of_a_very_long_message_are_read_and_not_kept() -> None:
    others = [f"Z{number:02}" + "|x" * 99 for number in range(11)]
    assert str(stated((*FULL, *others), None)) == str(stated(FULL, None))
    assert str(stated((*FULL, *others), [])) == str(stated(FULL, None))
    assert not any(type(kept) is frozenset and "Z00-7" in kept for kept in gc.get_objects())
