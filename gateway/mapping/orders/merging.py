"""Groups of a message that are about one procedure become one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gateway.mapping.identifiers import Known, scheduled_procedure_step_id
from gateway.records.order import Attributes, OrderedProcedure, OrderedStep, StepListing


def merge_groups(read: Sequence[OrderedProcedure]) -> Iterator[OrderedProcedure]:
    """Put ORC/OBR pairs that the sender tied together into one procedure: those of one Study Instance UID, or of one
    Requested Procedure ID under one accession number.

    Pairs of the same Scheduled Procedure Step ID are further protocol codes of one step.
    """
    merged: dict[tuple[object, ...], OrderedProcedure] = {}
    for one in read:
        key = _identity(one)
        merged[key] = _join(merged[key], one) if key in merged else one
    yield from merged.values()


def _identity(one: OrderedProcedure) -> tuple[object, ...]:
    if "StudyInstanceUID" not in one.derived:
        return one.control, str(one.procedure["StudyInstanceUID"])
    if "RequestedProcedureID" not in one.derived:
        # Without a stated accession number this is the order's own number.
        accession_number = str(one.order.get("AccessionNumber") or "")
        return one.control, one.authority, accession_number, str(one.procedure["RequestedProcedureID"])
    return (one.place,)


def _join(first: OrderedProcedure, more: OrderedProcedure) -> OrderedProcedure:
    steps = {_step_id(step): step for step in first.steps}
    for step in more.steps:
        key = _step_id(step)
        if key not in steps:
            steps[key] = step
        elif "ScheduledProcedureStepID" not in more.derived:
            steps[key] = _with_protocols_of(steps[key], step)
        else:
            # Two pairs without step ids under one procedure: the second is another step.
            known = Known(more.procedure, more.authority, "", "", len(steps))
            key = scheduled_procedure_step_id(known)
            steps[key] = OrderedStep(step.attributes | {"ScheduledProcedureStepID": key})
    return replace(
        first,
        steps=tuple(steps.values()),
        listing=StepListing(
            first.listing.withdrawn | more.listing.withdrawn, first.listing.is_whole and more.listing.is_whole
        ),
        derived=first.derived & more.derived,
    )


def distinct_steps(steps: list[OrderedStep]) -> tuple[OrderedStep, ...]:
    """IPC segments of one Scheduled Procedure Step ID are further protocol codes of one step."""
    if len(steps) == 1:
        return (steps[0],)
    found: dict[str, OrderedStep] = {}
    for step in steps:
        key = _step_id(step)
        found[key] = _with_protocols_of(found[key], step) if key in found else step
    return tuple(found.values())


def _step_id(step: OrderedStep) -> str:
    return str(step.attributes["ScheduledProcedureStepID"])


def _with_protocols_of(step: OrderedStep, other: OrderedStep) -> OrderedStep:
    keyword = "ScheduledProtocolCodeSequence"
    codes = [*(step.attributes.get(keyword) or ()), *(other.attributes.get(keyword) or ())]
    unique: dict[Any, Attributes] = {tuple(sorted(code.items())): code for code in codes}
    return OrderedStep(step.attributes | {keyword: list(unique.values())}) if codes else step
