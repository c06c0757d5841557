"""What orders, performed steps, notifications and requests state of how much a study holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gateway.records.availability import Availability, Notification, available_instances
from gateway.records.commitment import CommitmentAsked
from gateway.records.completeness import Evidence, EvidenceKind
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.named_instances import named_instances
from gateway.records.order import Attributes
from gateway.records.performed_step import PerformedState, PerformedStep, scheduled_items

_MOST_IMAGES: Final = 1_000_000
ENDED: Final = {
    PerformedState.COMPLETED: EvidenceKind.MPPS_COMPLETED,
    PerformedState.DISCONTINUED: EvidenceKind.MPPS_DISCONTINUED,
}


def expected(procedure: Attributes, *, at: int) -> tuple[StudyInstanceUID, Evidence] | None:
    """Of a requested procedure whose order states the number of images, where a row of the site reads one. None where
    none is stated, or no number."""
    stated = str(procedure.get("NumberOfStudyRelatedInstances") or "").strip()
    if not stated.isdecimal() or not 0 < int(stated) <= _MOST_IMAGES:
        return None
    study_uid = StudyInstanceUID(str(procedure.get("StudyInstanceUID") or ""))
    return study_uid, Evidence(EvidenceKind.EXPECTED_IMAGES, study_uid, at, instances=int(stated))


def performed(sop_uid: str, step: PerformedStep, *, at: int) -> Iterator[tuple[StudyInstanceUID, Evidence]]:
    """Of each study that an ended performed step names, in the group case all the same: which of them holds which
    instance is not stated. Nothing while it is in progress, nor where it names no instance."""
    kind = ENDED.get(step.state)
    if kind is None or not (named := frozenset(named_instances(step.attributes))):
        return
    for study_uid in dict.fromkeys(one.study_uid for one in scheduled_items(step.attributes) if one.study_uid):
        yield StudyInstanceUID(study_uid), Evidence(kind, sop_uid, at, named)


def notified(sop_uid: str, notification: Notification, *, at: int) -> Evidence | None:
    """Of the notification's study. None where it names nothing that can be had."""
    named = frozenset(
        one.sop_uid
        for one in available_instances(notification.attributes)
        if one.availability != Availability.UNAVAILABLE
    )
    return Evidence(EvidenceKind.AVAILABILITY, sop_uid, at, named) if named else None


def committed(asked: CommitmentAsked, studies: Iterable[str], *, at: int) -> tuple[StudyInstanceUID, Evidence] | None:
    """`studies`: those in which instances of the request have come. None unless they are of one study: a request does
    not name the study, and what has not come may be of any."""
    found = set(studies)
    if len(found) != 1:
        return None
    named = frozenset(one.sop_uid for one in asked.references)
    return StudyInstanceUID(found.pop()), Evidence(EvidenceKind.COMMITMENT, asked.transaction_uid, at, named)
