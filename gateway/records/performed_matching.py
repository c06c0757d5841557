"""Which scheduled step a modality has performed: by what it copied from the worklist into an item of its N-CREATE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import eq
from typing import Final, NamedTuple

from gateway.records.patient import Identity
from gateway.records.performed_step import ScheduledItem
from gateway.records.row_ids import OrderRow
from gateway.value_class import value_class


class MatchedBy(StrEnum):
    """What led to the scheduled step."""

    STEP = "study and step"
    STUDY = "only step of the study"
    ACCESSION = "accession number"
    HAND = "hand"
    """A person linked the two."""


class Candidate(NamedTuple):
    """A scheduled step that may be meant."""

    order: OrderRow
    study_uid: str
    procedure_id: str
    step_id: str
    patient: Identity
    former: tuple[Identity, ...] = ()
    """Identities that were merged into the patient's."""


def place_of(candidate: Candidate) -> tuple[OrderRow, str, str]:
    """What tells a scheduled step from all others, whatever becomes of its patient: order, study and step."""
    return candidate.order, candidate.study_uid, candidate.step_id


@value_class
class Matched:
    """The scheduled step of an item, or why there is none."""

    candidate: Candidate | None
    match: MatchedBy | None = None
    why: str = ""
    """What a person should know of the match; empty: nothing."""


Candidates = Callable[[str], Sequence[Candidate]]
"""Of a Study Instance UID or an accession number."""


NO_ORDER: Final = "no order has this Study Instance UID, and there is no accession number"
NO_NUMBER: Final = "no order has this Study Instance UID or accession number"
OTHER_PATIENT: Final = "the order with this accession number is of another patient"
NO_STEP: Final = "the study has several scheduled steps, and none with this step ID"
SEVERAL: Final = "the accession number leads to none or several scheduled steps"
UNMATCHED: Final = frozenset({NO_ORDER, NO_NUMBER, OTHER_PATIENT, NO_STEP, SEVERAL})
"""Why there is no scheduled step."""


def matched(
    item: ScheduledItem, patient: Identity, *, of_study: Candidates, of_accession_number: Candidates
) -> Matched:
    """The scheduled step that an item is about.

    A Study Instance UID identifies the procedure, whatever patient the modality states; an accession number, which two
    sites may have given, identifies the order only for the same patient.
    """
    if item.study_uid and (steps := of_study(item.study_uid)):
        return _of_study(item, steps)
    if not item.accession_number:
        return Matched(None, why=NO_ORDER)
    steps = of_accession_number(item.accession_number)
    if not steps:
        return Matched(None, why=NO_NUMBER)
    ours = [one for one in steps if is_of_patient(patient, one)]
    if not ours:
        return Matched(None, why=OTHER_PATIENT)
    return _of_accession_number(item, ours)


def _of_study(item: ScheduledItem, steps: Sequence[Candidate]) -> Matched:
    exact = next((one for one in steps if item.step_id and one.step_id == item.step_id), None)
    if exact is not None:
        return Matched(exact, MatchedBy.STEP)
    if len(steps) > 1:
        return Matched(None, why=NO_STEP)
    return Matched(steps[0], MatchedBy.STUDY, "the study has another step ID" if item.step_id else "")


def _of_accession_number(item: ScheduledItem, steps: Sequence[Candidate]) -> Matched:
    """By accession number, then Requested Procedure ID, then step ID, each as far as it is stated."""
    named = [one for one in steps if not item.procedure_id or one.procedure_id == item.procedure_id]
    exact = [one for one in named if item.step_id and one.step_id == item.step_id]
    for steps_left in (exact, named):
        if len(steps_left) == 1:
            return Matched(steps_left[0], MatchedBy.ACCESSION, "the Study Instance UID is the modality's own")
    return Matched(None, why=SEVERAL)


def nearest_item(items: Sequence[ScheduledItem], candidate: Candidate) -> int | None:
    """The number of the item that a person most likely links to a scheduled step; None when there is none."""
    asked = (candidate.study_uid, candidate.step_id, candidate.procedure_id)

    def likeness(number: int) -> tuple[int, int]:
        item = items[number]
        return sum(map(eq, asked, (item.study_uid, item.step_id, item.procedure_id))), -number

    return max(range(len(items)), key=likeness, default=None)


def is_of_patient(stated: Identity, candidate: Candidate) -> bool:
    """Whether the order of a scheduled step may be the stated patient's, under today's identity or a former one."""
    return any(is_same_patient(stated, held) for held in (candidate.patient, *candidate.former))


def is_same_patient(stated: Identity, held: Identity) -> bool:
    """Whether two identities may be of one patient: an issuer that one of them lacks may be any."""
    if not stated.patient_id or stated.patient_id != held.patient_id:
        return False
    return stated.issuer == held.issuer or not (stated.issuer and held.issuer)
