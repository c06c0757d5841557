"""Groups of a message that are about one procedure become one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from gateway.mapping.identifiers import Known, scheduled_procedure_step_id
from gateway.records.order import Attributes, OrderedProcedure, OrderedStep, StepListing
from gateway.records.order_numbers import ACCESSION_KEYS


class Tie(Enum):
    """What two pairs of a message have in common that are of one procedure."""

    STUDY = auto()
    ACCESSION = auto()
    FILLER = auto()
    PLACER = auto()


Key = tuple[object, ...]
"""A tie and its values."""


def merge_groups(read: Sequence[OrderedProcedure]) -> Iterator[OrderedProcedure]:
    """Put ORC/OBR pairs that the sender tied together into one procedure: those of one Study Instance UID, or of one
    Requested Procedure ID under one accession number or one order number.

    Pairs of the same Scheduled Procedure Step ID are further protocol codes of one step.
    """
    merged: list[OrderedProcedure] = []
    places: dict[Key, int] = {}
    for one in read:
        keys = list(_keys(one))
        at = next((places[key] for key in keys if key in places and not _differ(merged[places[key]], one, key)), None)
        if at is None:
            at = len(merged)
            merged.append(one)
        else:
            merged[at] = _join(merged[at], one)
        for key in keys:
            places.setdefault(key, at)
    yield from merged


def _keys(one: OrderedProcedure) -> Iterator[Key]:
    """What ties a pair to others of its message, the surest first."""
    if "StudyInstanceUID" not in one.derived:
        yield Tie.STUDY, one.control, one.procedure["StudyInstanceUID"]
    if "RequestedProcedureID" in one.derived:
        return
    of_procedure = one.control, one.procedure["RequestedProcedureID"]
    # Without a stated accession number this is the order's own number.
    yield Tie.ACCESSION, *of_procedure, one.authority, one.order.get("AccessionNumber") or ""
    for kind, number in ((Tie.FILLER, one.filler), (Tie.PLACER, one.placer)):
        if number is not None and number.value:
            yield kind, *of_procedure, number.value, number.authority


def _differ(first: OrderedProcedure, more: OrderedProcedure, key: Key) -> bool:
    """Whether something that both pairs state says that they are of two procedures, whatever `key` they share."""
    if _both_state(first, more, "StudyInstanceUID"):
        return bool(first.procedure["StudyInstanceUID"] != more.procedure["StudyInstanceUID"])
    if key[0] is Tie.ACCESSION:
        return False
    if _both_state(first, more, "AccessionNumber"):
        mine, theirs = first.order.get("AccessionNumber"), more.order.get("AccessionNumber")
        if mine and theirs and mine != theirs:
            return True
    pairs = ((first.filler, more.filler), (first.placer, more.placer))
    return any(mine and theirs and mine.value != theirs.value for mine, theirs in pairs)


def _both_state(first: OrderedProcedure, more: OrderedProcedure, keyword: str) -> bool:
    return keyword not in first.derived and keyword not in more.derived


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
    first = _with_numbers_of(first, more)
    return replace(
        first,
        steps=tuple(steps.values()),
        listing=StepListing(
            first.listing.withdrawn | more.listing.withdrawn, first.listing.is_whole and more.listing.is_whole
        ),
        derived=first.derived & more.derived,
    )


def _with_numbers_of(first: OrderedProcedure, more: OrderedProcedure) -> OrderedProcedure:
    """The first pair with what only the other states of their order's numbers and of the study."""
    stated = first.derived - more.derived
    if "AccessionNumber" in stated and more.order.get("AccessionNumber"):
        attributes = {key: more.order[key] for key in ACCESSION_KEYS if key in more.order}
        first = replace(first, order=first.order | attributes, authority=more.authority or first.authority)
    if "StudyInstanceUID" in stated:
        study = {"StudyInstanceUID": more.procedure["StudyInstanceUID"]}
        first = replace(first, procedure=first.procedure | study)
    return replace(first, placer=first.placer or more.placer, filler=first.filler or more.filler)


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
