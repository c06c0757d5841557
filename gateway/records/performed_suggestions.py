"""Which scheduled steps an unlinked performed step may carry out: suggestions for a person, never applied by a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, is_of_patient

Code = tuple[str, str]
"""Code Value (0008,0100) and Coding Scheme Designator (0008,0102)."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What a modality states of a performed step, and what its images do."""

    patient: Identity
    modality: str
    station_ae: str
    day: str
    """DA, of the start."""
    codes: frozenset[Code]
    """Of the procedure and the protocol."""
    imaged_studies: frozenset[str] = frozenset()
    """Study Instance UIDs of images of it that have arrived."""
    imaged_numbers: frozenset[str] = frozenset()
    """Accession numbers of these images."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A scheduled step that may be meant."""

    candidate: Candidate
    accession_number: str
    modality: str
    station_aes: frozenset[str]
    """Empty: every station."""
    day: str
    """DA."""
    codes: frozenset[Code]
    is_open: bool
    """Nobody has begun, ended or cancelled it."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A scheduled step, with what speaks for it."""

    scheduled: Scheduled
    score: int
    """The sum of the weights of the reasons."""
    reasons: tuple[str, ...]


def _of_patient(clues: Clues, step: Scheduled) -> bool:
    return is_of_patient(clues.patient, step.candidate)


def _of_images(clues: Clues, step: Scheduled) -> bool:
    return step.candidate.study_uid in clues.imaged_studies or step.accession_number in clues.imaged_numbers


def _days_apart(clues: Clues, step: Scheduled) -> int | None:
    try:
        return abs((date.fromisoformat(clues.day) - date.fromisoformat(step.day)).days)
    except ValueError:
        return None


REASONS: Final[tuple[tuple[int, str, Callable[[Clues, Scheduled], bool]], ...]] = (
    (40, "the images of the examination are of this order", _of_images),
    (30, "the same patient", _of_patient),
    (15, "the same modality", lambda clues, step: bool(step.modality) and clues.modality == step.modality),
    (15, "the same day", lambda clues, step: _days_apart(clues, step) == 0),
    (5, "the day before or after", lambda clues, step: _days_apart(clues, step) == 1),
    (15, "the same procedure or protocol code", lambda clues, step: bool(clues.codes & step.codes)),
    (10, "scheduled for this station", lambda clues, step: clues.station_ae in step.station_aes),
    (5, "not begun yet", lambda _clues, step: step.is_open),
)
"""Weight, words and condition. Without the first or the second nothing is suggested."""
LEAST: Final = 60
"""The patient alone is not enough: of the many orders of a patient, modality and day speak for a few."""


def suggestions(clues: Clues, steps: Iterable[Scheduled]) -> list[Suggestion]:
    """The scheduled steps for which enough speaks, the likeliest first."""
    weighed = (_weighed(clues, step) for step in steps if _of_images(clues, step) or _of_patient(clues, step))
    enough = (one for one in weighed if one.score >= LEAST)
    return sorted(enough, key=lambda one: (-one.score, one.scheduled.candidate.order, one.scheduled.candidate.step_id))


def _weighed(clues: Clues, step: Scheduled) -> Suggestion:
    speaking = [(weight, words) for weight, words, holds in REASONS if holds(clues, step)]
    return Suggestion(step, sum(weight for weight, _ in speaking), tuple(words for _, words in speaking))
