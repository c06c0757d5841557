"""What speaks for a scheduled step, and what of it is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate
from gateway.records.performed_suggestions import LEAST, REASONS, Clues, Scheduled, suggestions
from gateway.records.row_ids import OrderRow

P, Q = Identity("P", "HOSP"), Identity("Q", "HOSP")
CODE = ("CTH", "99RIS")
CLUES = Clues(P, "CT", "CT1", "20260123", frozenset({CODE}), frozenset({"1.2"}), frozenset({"A1"}))
STEP = Scheduled(
    Candidate(OrderRow(1), "1.2", "RP1", "S1", P), "A1", "CT", frozenset({"CT1"}), "20260123", frozenset({CODE}), True
)
OTHER = replace(STEP, candidate=STEP.candidate._replace(study_uid="1.3", patient=Q), accession_number="A2")


def test_all_that_may_speak_for_a_step() -> None:
    [found] = suggestions(CLUES, [STEP])
    assert found.reasons == tuple(words for _, words, _ in REASONS if words != "the day before or after")


@pytest.mark.parametrize(
    ("clues", "step", "is_suggested"),
    [
        (CLUES, OTHER, False),  # another patient, and images of another study
        (CLUES, replace(OTHER, accession_number="A1"), True),  # its images say so
        (replace(CLUES, imaged_studies=frozenset({"1.3"})), OTHER, True),
        (replace(CLUES, patient=Identity("", "")), OTHER, False),
        (CLUES, replace(OTHER, candidate=OTHER.candidate._replace(former=(P,))), True),  # merged
    ],
)
def test_without_patient_or_images_nothing_is_suggested(clues: Clues, step: Scheduled, is_suggested: bool) -> None:
    assert bool(suggestions(clues, [step])) is is_suggested


@pytest.mark.parametrize(
    ("modality", "day", "is_suggested"),
    [
        ("CT", "20260123", True),
        ("MR", "20260123", False),
        ("CT", "20260301", False),
        ("CT", "", False),
        ("", "x", False),
    ],
)
def test_the_patient_alone_is_not_enough(modality: str, day: str, is_suggested: bool) -> None:
    step = replace(STEP, modality=modality, day=day, codes=frozenset(), station_aes=frozenset())
    clues = replace(CLUES, imaged_studies=frozenset(), imaged_numbers=frozenset())
    assert bool(suggestions(clues, [step])) is is_suggested


def test_the_likeliest_comes_first() -> None:
    begun, later = replace(STEP, is_open=False), replace(STEP, day="20260124")
    found = suggestions(CLUES, [later, begun, STEP])
    assert [one.scheduled for one in found] == [STEP, begun, later]
    assert all(one.score >= LEAST for one in found)
