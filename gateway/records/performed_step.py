"""The Modality Performed Procedure Step (PS3.4 Annex F.7): its states, and what N-CREATE and N-SET make of one.

Attributes are `Attributes` in which a keyword that is there without a value has "" or []. What an N-SET leaves out
stays; a sequence that it holds replaces the whole sequence. Lenient, which is the rule: an attribute that a modality
leaves out against the standard is no reason to lose an examination; it becomes a finding that is kept with the step.
Strict: it refuses the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import repeat
from typing import Any, Final

from gateway.errors import Conflict, GatewayError, InvalidValue, RequiredEmpty, RequiredMissing, together
from gateway.records.changing import with_changes
from gateway.records.finding import Finding
from gateway.records.identifiers import looked_for
from gateway.records.order import Attributes
from gateway.records.performed_step_attributes import ATTRIBUTES, ITEM_RULES, NEEDED, RULES, VALUED, Rules, Use
from gateway.records.step import RefusedEvent, StepEvent
from gateway.value_class import value_class

STATUS: Final = "PerformedProcedureStepStatus"
SCHEDULED_STEPS: Final = "ScheduledStepAttributesSequence"
REASON: Final = "PerformedProcedureStepDiscontinuationReasonCodeSequence"
WRONG_ENTRY: Final = "110514"
"""DCM, Incorrect worklist entry selected (CID 9300)."""
IDENTIFYING: Final = frozenset({SCHEDULED_STEPS, f"{SCHEDULED_STEPS}.StudyInstanceUID"})
"""Places without a value of which nobody knows what has been performed."""


class PerformedState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


_P = PerformedState
_FINAL = RefusedEvent("Performed Procedure Step Object may no longer be updated")
SET: Final[dict[tuple[PerformedState, PerformedState], PerformedState | RefusedEvent]] = {
    **{(_P.IN_PROGRESS, status): status for status in _P},
    **{(final, status): _FINAL for final in (_P.COMPLETED, _P.DISCONTINUED) for status in _P},
}
"""State and the status of an N-SET -> state after it (PS3.4 Table F.7.2-2)."""

EVENTS: Final = {
    _P.IN_PROGRESS: StepEvent.PPS_START,
    _P.COMPLETED: StepEvent.PPS_COMPLETE,
    _P.DISCONTINUED: StepEvent.PPS_DISCONTINUE,
}
"""What a performed step that has come to a state is to the scheduled steps."""


@value_class
class PerformedStep:
    """A performed step as its modality has stated it."""

    state: PerformedState
    attributes: Attributes
    findings: tuple[Finding, ...] = ()
    """Deviations from the standard, of all requests."""

    @property
    def event(self) -> StepEvent:
        """What it is to the scheduled steps that it belongs to."""
        if self.state is PerformedState.DISCONTINUED and _is_wrong_entry(self.attributes):
            return StepEvent.PPS_WRONG_ENTRY
        return EVENTS[self.state]


@value_class
class ScheduledItem:
    """An item of the Scheduled Step Attributes Sequence: what the modality chose from its worklist."""

    study_uid: str
    step_id: str
    accession_number: str
    procedure_id: str


def begun(attributes: Attributes, *, strict: bool = False) -> PerformedStep:
    """The performed step that an N-CREATE makes.

    Raises `InvalidValue` when its status is another than IN PROGRESS, `RequiredMissing` or `RequiredEmpty` without what
    tells which step is performed, and with `strict` without any attribute of type 1, or a missing one of type 2.
    """
    status = text_of(attributes.get(STATUS))
    if status and status != PerformedState.IN_PROGRESS:
        raise InvalidValue("a performed step is created IN PROGRESS", place=STATUS)
    faults = list(_faults(attributes, Use.CREATE))
    _refuse(fault for fault in faults if strict or fault.place in IDENTIFYING)
    stated = {**attributes, STATUS: PerformedState.IN_PROGRESS.value}
    return PerformedStep(PerformedState.IN_PROGRESS, stated, tuple(map(_finding, faults)))


def updated(step: PerformedStep, modifications: Attributes, *, strict: bool = False) -> PerformedStep:
    """The performed step after an N-SET.

    Raises `Conflict` when the step is final, `InvalidValue` for a status that is none, and with `strict` what the
    standard forbids.
    """
    state = _state_after(step.state, text_of(modifications.get(STATUS)))
    allowed = {key: value for key, value in modifications.items() if _may_be_set(key)}
    fixed = [
        InvalidValue("may not be set; what the N-CREATE states is kept", place=key)
        for key, value in modifications.items()
        if key not in allowed and value != step.attributes.get(key)
    ]
    attributes = {**step.attributes, **allowed, STATUS: state.value}
    faults: list[GatewayError] = [*fixed, *_faults(allowed, Use.SET)]
    if state is not PerformedState.IN_PROGRESS:
        faults += _faults(attributes, Use.COMPLETED if state is PerformedState.COMPLETED else Use.DISCONTINUED)
    if strict:
        _refuse(faults)
    findings = dict.fromkeys((*step.findings, *map(_finding, faults)))
    return with_changes(step, state=state, attributes=attributes, findings=tuple(findings))


def _state_after(state: PerformedState, status: str) -> PerformedState:
    if status and status not in set(PerformedState):
        raise InvalidValue("the status is none of IN PROGRESS, COMPLETED, DISCONTINUED", place=STATUS)
    after = SET[(state, PerformedState(status or PerformedState.IN_PROGRESS))]
    if isinstance(after, RefusedEvent):
        raise Conflict(after.why)
    return after


def _may_be_set(keyword: str) -> bool:
    """What the table does not have (doses, films, billing) is the modality's own to say."""
    return keyword not in ATTRIBUTES or bool(ATTRIBUTES[keyword].set)


def scheduled_items(attributes: Attributes) -> list[ScheduledItem]:
    """The items of the Scheduled Step Attributes Sequence, each once."""
    items = (
        ScheduledItem(
            looked_for(text_of(item.get("StudyInstanceUID"))),
            text_of(item.get("ScheduledProcedureStepID")),
            looked_for(text_of(item.get("AccessionNumber"))),
            text_of(item.get("RequestedProcedureID")),
        )
        for item in items_of(attributes.get(SCHEDULED_STEPS))
    )
    return list(dict.fromkeys(items))


def _is_wrong_entry(attributes: Attributes) -> bool:
    return any(
        text_of(item.get("CodeValue")) == WRONG_ENTRY and text_of(item.get("CodingSchemeDesignator")) in ("DCM", "")
        for item in items_of(attributes.get(REASON))
    )


# What is missing


def _faults(attributes: Attributes, use: Use) -> Iterator[RequiredMissing]:
    """What the table wants of a request and the attributes do not have. Raises nothing."""
    if not _are_met(attributes, RULES[use]):
        yield from _faults_by(attributes, RULES[use])
    for sequence, rules in ITEM_RULES[use].items():
        for number, item in enumerate(items_of(attributes.get(sequence)), 1):
            if not _are_met(item, rules):
                yield from _faults_by(item, rules, f"{sequence}.", f" of item {number}")


def _are_met(attributes: Attributes, rules: Rules) -> bool:
    return attributes.keys() >= rules.needed and all(map(attributes.get, rules.valued, repeat(True)))


def _faults_by(attributes: Attributes, rules: Rules, within: str = "", where: str = "") -> Iterator[RequiredMissing]:
    for keyword, type in rules.types.items():
        if keyword not in attributes and type in NEEDED:
            yield RequiredMissing(f"type {type}{where}, and is missing", place=f"{within}{keyword}")
        elif keyword in attributes and type in VALUED and not attributes[keyword]:
            yield RequiredEmpty(f"type 1{where}, and has no value", place=f"{within}{keyword}")


def _finding(fault: GatewayError) -> Finding:
    return Finding(fault.place, fault.message)


def _refuse(faults: Iterable[GatewayError]) -> None:
    if refusals := list(faults):
        raise together(refusals)


def items_of(value: Any) -> list[Attributes]:
    """The items of a sequence, as far as they are any."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """The first value, as text."""
    first = next(iter(value), "") if isinstance(value, list) else value
    return str(first or "").strip()
