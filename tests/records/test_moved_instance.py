"""Which of several copies of an instance counts: by what they state, then by when they came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.moved_instance import Copy, Former, moves_among
from gateway.records.patient import Identity

PATIENT = Identity("P", "HOSP")


def copy(row: int, study: str, sop: str = "1", *former: str, at: int = 0, series: str = "", **more: object) -> Copy:
    """`former`: each `STUDY SERIES SOP`, where `-` stands for a UID that was not modified."""
    stated = (Former(*("" if uid == "-" else uid for uid in one.split())) for one in former)
    values: dict[str, object] = {"patient": PATIENT, "received_at": at or row, "former": tuple(stated), **more}
    return Copy(row, study, series or f"{study}.1", sop, **values)  # type: ignore[arg-type]


OTHER = Identity("Q", "HOSP")
CASES = {
    "alone": ([copy(1, "A")], {}),
    "the later counts": ([copy(1, "A"), copy(2, "B")], {1: 2}),
    "what came later counts, whatever row": ([copy(1, "A", at=9), copy(2, "B")], {2: 1}),
    "what states the other counts, though it came first": ([copy(1, "B", "1", "A - -"), copy(2, "A")], {2: 1}),
    "all UIDs are others": ([copy(1, "A", "1"), copy(2, "B", "2", "A A.1 1")], {1: 2}),
    "stated one by one": ([copy(1, "A", "1"), copy(2, "B", "2", "A - -", "- - 1")], {1: 2}),
    "another SOP Instance UID in the same study": ([copy(1, "A", "1"), copy(2, "A", "2", "- - 1")], {1: 2}),
    "the SOP Instance UID is that of a third study": ([copy(1, "C", "1"), copy(2, "B", "2", "A - 1")], {}),
    "another series": ([copy(1, "A", series="A.1"), copy(2, "A", "1", "- A.1 -", series="A.2")], {1: 2}),
    "in two series, and nothing is stated": ([copy(1, "A", series="A.1"), copy(2, "A", series="A.2")], {}),
    "a chain": ([copy(1, "A"), copy(2, "B", "2", "A - 1"), copy(3, "C", "3", "B - 2")], {1: 3, 2: 3}),
    "there and back": (
        [copy(1, "B", "1", "A - -"), copy(2, "A", "1", "A - -", "B - -"), copy(3, "C", "7")], {1: 2},
    ),
    "each states the other: the later counts": ([copy(1, "B", "1", "A - -"), copy(2, "A", "1", "B - -")], {1: 2}),
    "a circle leaves one": (
        [copy(1, "A", "1", "C - 3"), copy(2, "B", "2", "A - 1"), copy(3, "C", "3", "B - 2")], {1: 3, 2: 3},
    ),
    "a chain of which each states the one before, and the first came last": (
        [copy(1, "B", "2", "A - 1"), copy(2, "C", "3", "B - 2"), copy(3, "A", "1", "Z - 0")], {1: 2, 3: 2},
    ),
    "what does not count takes over nothing": ([copy(1, "A"), copy(2, "B", counts=False)], {}),
    "no Patient ID": ([copy(1, "A", patient=Identity("", "")), copy(2, "B", patient=Identity("", ""))], {}),
    "an issuer alone": ([copy(1, "A", patient=Identity("P", "")), copy(2, "B")], {1: 2}),
    "two issuers": ([copy(1, "A", patient=Identity("P", "X")), copy(2, "B")], {}),
    "two issuers at the ends of a chain": (
        [copy(1, "A", patient=Identity("P", "X")), copy(2, "B", "2", "A - 1", patient=Identity("P", "")),
         copy(3, "C", "3", "B - 2", patient=Identity("P", "Y"))], {1: 2},
    ),
    "another patient": ([copy(1, "A", patient=OTHER), copy(2, "B", "2", "A - 1")], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_which_copy_counts(name: str) -> None:
    copies, moved = CASES[name]
    assert moves_among(copies).moved == moved
    assert moves_among(reversed(copies)).moved == moved


def test_what_another_patient_keeps_is_named() -> None:
    former, later = copy(1, "A", patient=OTHER), copy(2, "B", "2", "A - 1")
    assert moves_among([former, later]).refused == [(later, former)]


@given(st.permutations(range(5)), st.integers(2, 5))
def test_a_chain_ends_at_its_last_copy_in_whatever_order_it_came(order: list[int], length: int) -> None:
    """Each archive states what it changed, after what was changed before."""
    studies = "ABCDE"[:length]
    chain = [
        copy(number, study, str(number), *(f"{studies[one]} - {one}" for one in range(number)), at=order[number] + 1)
        for number, study in enumerate(studies)
    ]
    assert moves_among(chain).moved == dict.fromkeys(range(length - 1), length - 1)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABC"), st.sampled_from("123"),
            st.lists(st.tuples(st.sampled_from("ABC-"), st.just("-"), st.sampled_from("123-")), max_size=2),
        ),
        max_size=6, unique_by=lambda one: one[:2],
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_is_stated_the_copy_that_counts_has_not_moved(stated: list[tuple], random: object) -> None:  # type: ignore[type-arg]
    copies = [copy(row, study, sop, *map(" ".join, former)) for row, (study, sop, former) in enumerate(stated)]
    moved = moves_among(copies).moved
    assert not set(moved) & set(moved.values())
    shuffled = list(copies)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert moves_among(shuffled).moved == moved
