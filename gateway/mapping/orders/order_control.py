"""ORC-1 with ORC-5 -> the event of a step, as the code table `order_control` has them (HL7 tables 0119 and 0038)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.mapping.language.missing import note
from gateway.mapping.language.rows import Table
from gateway.records.step import ORDER_EVENTS, StepEvent

ORDER_CONTROL: Final = "order_control"
Controls = Mapping[str, StepEvent]
"""`ORC-1/ORC-5`, or `ORC-1` for every ORC-5 that is not named, -> event."""
_EVENTS: Final = {event.value: event for event in ORDER_EVENTS}


def faults_of(tables: Mapping[str, Table]) -> Iterator[str]:
    """The lines of the table that name no event, for whoever wrote them."""
    table = tables[ORDER_CONTROL]
    for code, event in table.codes.items():
        if event and event not in _EVENTS:
            yield f"{table.origin}: {code}: {event!r} is no event of an order; known: {', '.join(_EVENTS)}"


def controls_of(tables: Mapping[str, Table]) -> Controls:
    """The events of the table; a code without an event is as one that the table does not have."""
    return {code: _EVENTS[event] for code, event in tables[ORDER_CONTROL].codes.items() if event}


def event_of(controls: Controls, control: str, status: str) -> StepEvent | None:
    """The event that ORC-1 `control` with ORC-5 `status` is; None if the pair has no effect on the worklist."""
    event = controls.get(f"{control}/{status}") or controls.get(control)
    if event is None:
        note(ORDER_CONTROL, f"{control}/{status}" if status else control)
    return event
