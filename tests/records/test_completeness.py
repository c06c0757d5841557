"""What decides whether a study settles."""

from __future__ import annotations

from itertools import product

import pytest

from gateway.records.completeness import (
    SETTLES,
    TABLE,
    Decision,
    Evidence,
    EvidenceKind,
    Holding,
    Reason,
    Times,
    decided,
    weighed,
)

NAMED = frozenset({"1", "2", "3"})
COMPLETED = Evidence(EvidenceKind.MPPS_COMPLETED, "9", 0, NAMED)


def _fitting(stands: tuple[bool, ...]) -> list[Reason]:
    return [
        row.reason
        for row in TABLE
        if all(want is None or want == is_so for want, is_so in zip(row[:-1], stands, strict=True))
    ]


@pytest.mark.parametrize("stands", list(product((False, True), repeat=6)))
def test_the_table_decides_every_case(stands: tuple[bool, ...]) -> None:
    asked, grown, lacking, satisfied, overdue, quiet = stands
    reason, *_ = _fitting(stands)
    settles = asked or not grown or overdue or (not lacking and (satisfied or quiet))
    assert (reason in SETTLES) == settles
    assert not asked or reason is Reason.ASKED


def test_each_row_of_the_table_decides_some_case() -> None:
    cases = [_fitting(stands)[0] for stands in product((False, True), repeat=6)]
    assert set(cases) == set(Reason)


COUNTS = [
    # stated series and instances, here series and instances: stated and missing
    ((None, None), (1, 3), None),
    ((None, 3), (1, 3), (3, 0)),
    ((1, 3), (1, 3), (3, 0)),
    ((1, 4), (1, 3), (4, 1)),
    ((2, 3), (1, 3), (2, 1)),
    ((2, None), (1, 3), (2, 1)),
    ((1, 2), (1, 3), None),
    ((2, 2), (1, 3), None),
    ((None, 0), (0, 0), (0, 0)),
]


@pytest.mark.parametrize(("stated", "here", "expected"), COUNTS)
def test_numbers_are_compared_as_far_as_they_are_stated(
    stated: tuple[int | None, int | None], here: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    evidence = Evidence(EvidenceKind.ARCHIVE_COUNTS, "pacs", 0, series=stated[0], instances=stated[1])
    result = weighed(evidence, Holding([str(one) for one in range(here[1])], here[0]))
    assert (None if result is None else (result.stated, result.missing)) == expected


@pytest.mark.parametrize(
    ("kind", "here", "times", "expected"),
    [
        ("mpps completed", 3, Times(), Decision(Reason.EVIDENCE, EvidenceKind.MPPS_COMPLETED, 3, 0)),
        ("mpps completed", 3, Times(performing=True), Decision(Reason.ARRIVING)),
        ("mpps completed", 2, Times(quiet=True), Decision(Reason.LACKING, EvidenceKind.MPPS_COMPLETED, 3, 1)),
        ("mpps completed", 2, Times(overdue=True), Decision(Reason.LONGEST_WAIT, EvidenceKind.MPPS_COMPLETED, 3, 1)),
        ("mpps discontinued", 2, Times(quiet=True), Decision(Reason.QUIET)),
        ("mpps discontinued", 3, Times(), Decision(Reason.EVIDENCE, EvidenceKind.MPPS_DISCONTINUED, 3, 0)),
        ("commitment", 3, Times(), Decision(Reason.ARRIVING)),
        ("commitment", 1, Times(quiet=True), Decision(Reason.LACKING, EvidenceKind.COMMITMENT, 3, 2)),
        ("mpps completed", 2, Times(asked=True), Decision(Reason.ASKED)),
        ("mpps completed", 2, Times(grown=False), Decision(Reason.CHANGED)),
    ],
)
def test_what_evidence_does(kind: str, here: int, times: Times, expected: Decision) -> None:
    evidence = Evidence(EvidenceKind(kind), "9", 0, NAMED)
    decision = decided([evidence], Holding(sorted(NAMED)[:here], 1), times)
    assert decision == expected
    assert Decision.of_row(decision.as_row()) == decision


def test_all_evidence_counts_together() -> None:
    counts = Evidence(EvidenceKind.ARCHIVE_COUNTS, "pacs", 0, series=1, instances=8)
    decision = decided([COMPLETED, counts], Holding(["1", "2", "3"], 1), Times(quiet=True))
    assert decision == Decision(Reason.LACKING, EvidenceKind.ARCHIVE_COUNTS, 8, 5)


def test_without_evidence_the_quiet_time_decides() -> None:
    assert decided([], Holding(["1"], 1), Times()) == Decision(Reason.ARRIVING)
    assert decided([], Holding(["1"], 1), Times(quiet=True)) == Decision(Reason.QUIET)
    assert decided([], Holding(["1"], 1), Times(overdue=True)) == Decision(Reason.LONGEST_WAIT)
