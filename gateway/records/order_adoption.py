"""A rebuilt order in the rows of the stored one: identifiers that were given out stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.records.imaging_order import STEP_ID, Order, Procedure, Step


def adopted(rebuilt: Order, stored: Order) -> Order:
    """`rebuilt` in the rows of `stored`. An identifier of ours that has been given out stays as it was."""
    left = list(stored.procedures)
    procedures = []
    for procedure in rebuilt.procedures:
        old = _counterpart(procedure, left)
        if old is None:
            procedures.append(procedure)
            continue
        left.remove(old)
        kept = {key: old.attributes[key] for key in procedure.derived & old.derived}
        steps = _adopted_steps(procedure.steps, list(old.steps))
        procedures.append(replace(procedure, attributes=procedure.attributes | kept, steps=steps, row=old.row))
    return replace(rebuilt, procedures=tuple(procedures), patient=stored.patient, row=stored.row)


def _counterpart(procedure: Procedure, left: list[Procedure]) -> Procedure | None:
    for old in left:
        if old.study_uid == procedure.study_uid:
            return old
    for old in left:
        if old.derived and procedure.derived and "StudyInstanceUID" in old.derived & procedure.derived:
            return old
    return None


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
