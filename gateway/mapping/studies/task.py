"""How an order is carried out, as a FHIR Task: ServiceRequest.status has no code for an examination that has begun.

One Task for each order; its focus is the ServiceRequest of the order, whoever made that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.mapping.identifiers import NAMESPACE
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.service_request import (
    encounter_of,
    issued_at,
    own_identifier,
    request_reference,
    subject_of,
)
from gateway.records.imaging_order import Order, Performed
from gateway.records.order import Attributes
from gateway.records.step import StepEvent, StepState

_TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
_FULFILL: Final = {"coding": [{"system": _TASK_CODE, "code": "fulfill", "display": "Fulfill the focal request"}]}
_S = StepState
GOING_ON: Final = (
    (_S.STARTED, "in-progress"),
    (_S.COMPLETED, "in-progress"),
    (_S.READY, "ready"),
    (_S.ARRIVED, "ready"),
    (_S.SCHEDULED, "requested"),
    (_S.HELD, "on-hold"),
)
"""State of a step -> task-status of its order, which has steps to be done: the first state that any step has counts."""
ENDED: Final = ((_S.COMPLETED, "completed"), (_S.DISCONTINUED, "cancelled"), (_S.CANCELED, "cancelled"))
"""The same of an order all of whose steps have ended."""
_ENDS: Final = frozenset({StepEvent.PPS_COMPLETE, StepEvent.PPS_DISCONTINUE, StepEvent.PPS_SILENT})


def task(
    order: Order, patient: Attributes, performed: Iterable[Performed], settings: FhirSettings
) -> tuple[dict[str, Any], str]:
    """The Task of an order that has procedures, alike in R4 and R5, and the identifier (`system|value`) it is known by.

    `performed`: what modalities did to the steps of the order.
    """
    identifier = _identifier(order, settings)
    status = status_of([step.state for procedure in order.procedures for step in procedure.steps])
    request = request_reference(order, settings)
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "identifier": [identifier],
        "basedOn": [request],
        "status": status,
        "intent": "order",
        "code": _FULFILL,
        "focus": request,
        "for": subject_of(order, patient, settings),
        "encounter": encounter_of(order, patient, settings),
        "executionPeriod": _period(performed, status, settings),
        "authoredOn": issued_at(order, settings),
    }
    resource = {key: value for key, value in resource.items() if value}
    return resource, f"{identifier['system']}|{identifier['value']}"


def status_of(states: Sequence[StepState]) -> str:
    """task-status of an order whose steps are in these states; `cancelled` without any."""
    ended = {state for state, _ in ENDED}
    table = ENDED if set(states) <= ended else GOING_ON
    return next((status for state, status in table if state in states), "cancelled")


def _identifier(order: Order, settings: FhirSettings) -> dict[str, str]:
    """An identifier that only this gateway gives: an EHR has Tasks of its own for an accession number."""
    own = own_identifier(order, settings)
    return {
        "system": f"urn:uuid:{uuid.uuid5(NAMESPACE, 'task' + chr(31) + str(own['system']))}",
        "value": str(own["value"]),
    }


def _period(performed: Iterable[Performed], status: str, settings: FhirSettings) -> dict[str, str]:
    events = list(performed)
    mistaken = {one.performed_step for one in events if one.event is StepEvent.PPS_WRONG_ENTRY}
    counted = [one for one in events if one.performed_step not in mistaken]
    begun = [one.event_at for one in counted if one.event is StepEvent.PPS_START]
    ended = [one.event_at for one in counted if one.event in _ENDS]
    if not begun:
        return {}
    period = {"start": _moment(min(begun), settings)}
    if ended and status in dict(ENDED).values():
        period["end"] = _moment(max(ended), settings)
    return period


def _moment(micros: int, settings: FhirSettings) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, settings.zone or UTC).isoformat()
