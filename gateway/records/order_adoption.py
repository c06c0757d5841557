"""A rebuilt order in the rows of the stored one: identifiers that were given out stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from gateway.records.imaging_order import PROCEDURE_KEYS, STEP_ID, Order, Procedure, Step
from gateway.records.order_numbers import ACCESSION_KEYS, has_stated_accession_number

STUDY_UID: Final = "StudyInstanceUID"


def united(kept: Order, other: Order) -> Order:
    """Two orders of which a message makes one, in the row of the first; what it is in truth, its history tells.

    A stated accession number goes before our own: its messages are found by it.
    """
    attributes = other.attributes | kept.attributes
    if has_stated_accession_number(other) and not has_stated_accession_number(kept):
        attributes |= {key: other.attributes[key] for key in ACCESSION_KEYS if key in other.attributes}
    return replace(
        kept,
        placer=kept.placer if kept.placer.value else other.placer,
        filler=kept.filler if kept.filler.value else other.filler,
        parent=kept.parent or other.parent,
        parent_filler=kept.parent_filler or other.parent_filler,
        authority=kept.authority or other.authority,
        sender=kept.sender or other.sender,
        attributes=attributes,
        event_at=max(kept.event_at, other.event_at),
        moved_at=max(kept.moved_at, other.moved_at),
        performed_at=max(kept.performed_at, other.performed_at),
        procedures=(*kept.procedures, *other.procedures),
        study_uid=kept.study_uid or other.study_uid,
        patient=kept.patient if kept.patient is not None else other.patient,
    )


def adopted(rebuilt: Order, stored: Order) -> Order:
    """`rebuilt` in the rows of `stored`. An identifier of ours that has been given out stays as it was."""
    counterparts = _counterparts(rebuilt.procedures, stored.procedures)
    procedures = []
    for procedure in rebuilt.procedures:
        old = counterparts.get(procedure.study_uid)
        if old is None:
            procedures.append(procedure)
            continue
        kept = {key: old.attributes[key] for key in procedure.derived & old.derived}
        if STUDY_UID in procedure.derived:
            kept[STUDY_UID] = old.study_uid
        steps = _adopted_steps(procedure.steps, list(old.steps))
        derived = procedure.derived - ({STUDY_UID} - old.derived)
        attributes = procedure.attributes | kept
        procedures.append(replace(procedure, attributes=attributes, derived=derived, steps=steps, row=old.row))
    return replace(rebuilt, procedures=tuple(procedures), patient=stored.patient, row=stored.row)


def _counterparts(rebuilt: Sequence[Procedure], stored: Sequence[Procedure]) -> dict[str, Procedure]:
    """By the Study Instance UID of each rebuilt procedure, the stored procedure that it is; the surest pairs first."""
    found: dict[str, Procedure] = {}
    left = list(stored)
    for is_one in (_of_one_study, _of_one_id, _of_no_other_id):
        for procedure in rebuilt:
            old = next((one for one in left if procedure.study_uid not in found and is_one(procedure, one)), None)
            if old is not None:
                left.remove(old)
                found[procedure.study_uid] = old
    return found


def _of_one_study(one: Procedure, other: Procedure) -> bool:
    return one.study_uid == other.study_uid


def _of_one_id(one: Procedure, other: Procedure) -> bool:
    key = "RequestedProcedureID"
    return STUDY_UID in one.derived | other.derived and one.attributes.get(key) == other.attributes.get(key)


def _of_no_other_id(one: Procedure, other: Procedure) -> bool:
    """Whether nothing that was stated says that the two are different procedures."""
    return one.derived | other.derived >= PROCEDURE_KEYS


def _adopted_steps(steps: Iterable[Step], left: list[Step]) -> tuple[Step, ...]:
    found = []
    for step in steps:
        old = next((one for one in left if one.step_id == step.step_id), None)
        old = old or next((one for one in left if one.derived and step.derived), None)
        if old is not None:
            left.remove(old)
            kept = {STEP_ID: old.step_id} if step.derived and old.derived else {}
            attributes = step.attributes | kept
            step = replace(step, step_id=str(attributes[STEP_ID]), attributes=attributes, row=old.row)
        found.append(step)
    return tuple(found)
