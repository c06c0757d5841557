"""What is known of a survivor: their own, and what they lack of the identities that ended in theirs."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from gateway.records.order import Attributes
from gateway.records.patient import Rank, Stamps
from gateway.records.patient_merge import Absorbed, composed

ORDER, ADT = Rank.ORDER, Rank.REGISTRATION
MERGE = 10


def _known(**statements: tuple[Any, int, int]) -> tuple[Attributes, Stamps]:
    """Keyword = (value, rank, time); a value of None was deleted."""
    attributes = {keyword: value for keyword, (value, _, _) in statements.items() if value is not None}
    return attributes, {keyword: [rank, at] for keyword, (_, rank, at) in statements.items()}


def _absorbed(at: int = MERGE, **statements: tuple[Any, int, int]) -> Absorbed:
    return Absorbed(*_known(**statements), at)


def test_nobody_absorbed_changes_nothing() -> None:
    own = _known(PatientName=("A^B", ADT, 1))
    assert composed(*own, []) == own


def test_what_the_survivor_lacks_comes_with_its_stamp() -> None:
    own, other = _known(PatientName=("A^B", ADT, 1)), _absorbed(PatientSex=("F", ORDER, 5))
    assert composed(*own, [other]) == _known(PatientName=("A^B", ADT, 1), PatientSex=("F", ORDER, 5))


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        # Before the merge two patients were spoken of: the survivor's word stays, however old and light it is.
        (("MINE^X", ORDER, 1), ("THEIRS^X", ADT, 9), "MINE^X"),
        ((None, ADT, 1), ("THEIRS^X", ADT, 9), None),
        # After it, of one: the weightiest counts, of equal ones the newest.
        (("MINE^X", ADT, 1), ("THEIRS^X", ADT, 11), "THEIRS^X"),
        (("MINE^X", ADT, 12), ("THEIRS^X", ADT, 11), "MINE^X"),
        (("MINE^X", ADT, 1), ("THEIRS^X", ORDER, 11), "MINE^X"),
        (("MINE^X", ORDER, 12), ("THEIRS^X", ADT, 9), "THEIRS^X"),
        (("MINE^X", ADT, 1), (None, ADT, 11), None),
        ((None, ADT, 12), ("THEIRS^X", ADT, 11), None),
    ],
)
def test_whose_word_counts(
    mine: tuple[str | None, int, int], theirs: tuple[str | None, int, int], expected: str | None
) -> None:
    attributes, stamps = composed(*_known(PatientName=mine), [_absorbed(PatientName=theirs)])
    assert attributes.get("PatientName") == expected
    counts = theirs if expected == theirs[0] and expected != mine[0] else mine
    assert stamps["PatientName"] == list(counts[1:])


def test_an_identity_is_never_taken_over() -> None:
    attributes, _ = composed({}, {}, [_absorbed(PatientID=("OLD", ADT, 11), IssuerOfPatientID=("HOSP", ADT, 11))])
    assert attributes == {}


def test_one_stamp_for_all_keywords_counts_for_each() -> None:
    """What a program of before kept: stamps without keywords."""
    others = [Absorbed({"PatientName": "THEIRS^X", "PatientSex": "F"}, {"": [ADT, 11]}, MERGE)]
    attributes, stamps = composed({"PatientName": "MINE^X"}, {"": [ADT, 12]}, others)
    assert attributes == {"PatientName": "MINE^X", "PatientSex": "F"}
    assert stamps == {"": [ADT, 12], "PatientSex": [ADT, 11]}


def test_the_arguments_stay_as_they_are() -> None:
    own = _known(PatientName=("A^B", ADT, 1))
    composed(*own, [_absorbed(PatientName=("C^D", ADT, 11), PatientSex=("F", ADT, 11))])
    assert own == _known(PatientName=("A^B", ADT, 1))


def test_the_sequence_of_several_is_that_of_their_merges() -> None:
    others = [
        _absorbed(10, PatientSex=("F", ADT, 1)),
        _absorbed(20, PatientSex=("M", ADT, 2)),
        _absorbed(30, PatientSex=("O", ORDER, 31)),
    ]
    results = [composed({}, {}, order) for order in permutations(others)]
    assert results == [_known(PatientSex=("F", ADT, 1))] * 6
