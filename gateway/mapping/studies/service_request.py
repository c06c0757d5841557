"""An order as a FHIR ServiceRequest, for an EHR that takes the orders of its RIS (v2-to-FHIR, ORM_O01)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.studies.base import FhirSettings, first, order_system_of, plain, typed
from gateway.mapping.studies.functions import codeable_concepts, date_time
from gateway.mapping.studies.references import encounter_reference, patient_reference, person_display
from gateway.records.imaging_order import START_DATE, START_TIME, Order
from gateway.records.order import Attributes
from gateway.records.step import StepState
from gateway.records.study import Release

_IMAGING: Final = {"coding": [{"system": "http://snomed.info/sct", "code": "363679005", "display": "Imaging"}]}
_PRIORITIES: Final = {"STAT": "stat", "HIGH": "urgent", "ROUTINE": "routine", "MEDIUM": "routine", "LOW": "routine"}
"""Requested Procedure Priority (0040,1003) -> request-priority."""
_GIVEN_UP: Final = frozenset({StepState.CANCELED, StepState.DISCONTINUED})
_ENDED: Final = _GIVEN_UP | {StepState.COMPLETED}


def service_request(
    order: Order, patient: Attributes, settings: FhirSettings, release: Release
) -> tuple[dict[str, Any], str]:
    """The ServiceRequest of an order that has procedures, and the identifier (`system|value`) it is known by."""
    identifiers = list(_identifiers(order, settings))
    statement: dict[str, Any] = {**patient, **order.attributes, **order.procedures[0].attributes}
    states = [step.state for procedure in order.procedures for step in procedure.steps]
    resource: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "identifier": identifiers,
        "status": status_of(states),
        "intent": "order",
        "category": [_IMAGING],
        "priority": _PRIORITIES.get(str(statement.get("RequestedProcedurePriority") or "").upper()),
        "code": _code(order, settings),
        "subject": subject_of(order, patient, settings),
        "encounter": encounter_of(order, patient, settings),
        "occurrenceDateTime": _occurrence(order, settings),
        "authoredOn": issued_at(order, settings),
        "requester": person_display(statement["RequestingPhysician"], [], None, settings)
        if statement.get("RequestingPhysician")
        else None,
        "reasonCode": _reasons(order, settings),
    }
    resource = {key: value for key, value in resource.items() if value not in (None, [], {})}
    own = own_identifier(order, settings)
    return (_as_r5(resource) if release == "R5" else resource), f"{own['system']}|{own['value']}"


def _reasons(order: Order, settings: FhirSettings) -> list[dict[str, Any]]:
    concepts = [
        concept
        for procedure in order.procedures
        for concept in _concepts(procedure.attributes, "ReasonForRequestedProcedureCodeSequence", settings)
        or _text(procedure.attributes, "ReasonForTheRequestedProcedure")
    ]
    return _once(concepts)


def status_of(states: Sequence[StepState]) -> str:
    """request-status of an order whose steps are in these states."""
    if all(state in _GIVEN_UP for state in states):
        return "revoked"
    if all(state in _ENDED for state in states):
        return "completed"
    return "on-hold" if all(state is StepState.HELD for state in states if state not in _ENDED) else "active"


def request_reference(order: Order, settings: FhirSettings) -> dict[str, Any]:
    """A logical reference to the ServiceRequest of an order."""
    return {"type": "ServiceRequest", "identifier": own_identifier(order, settings)}


def subject_of(order: Order, patient: Attributes, settings: FhirSettings) -> dict[str, Any]:
    """A logical reference to the Patient of an order."""
    statement = {**patient, **order.attributes, **order.procedures[0].attributes}
    keywords = ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientName")
    return patient_reference(statement["PatientID"], [statement.get(key) for key in keywords], None, settings)


def encounter_of(order: Order, patient: Attributes, settings: FhirSettings) -> dict[str, Any] | None:
    """A logical reference to the visit of an order, else the present one of its patient; None without any."""
    statement = {**patient, **order.attributes}
    if not statement.get("AdmissionID"):
        return None
    return encounter_reference(statement["AdmissionID"], [statement.get("IssuerOfAdmissionIDSequence")], None, settings)


def issued_at(order: Order, settings: FhirSettings) -> str | None:
    """When the order was issued, as far as a message states it."""
    return _moment(order.attributes, "IssueDateOfImagingServiceRequest", "IssueTimeOfImagingServiceRequest", settings)


def _identifiers(order: Order, settings: FhirSettings) -> Iterator[dict[str, Any]]:
    """As `order_references` says them of a study, so that it finds the order by any."""
    numbers = (
        ("PLAC", "Placer Identifier", order.placer.authority or order.sender, order.placer.value),
        ("FILL", "Filler Identifier", order.filler.authority or order.sender, order.filler.value),
        ("ACSN", "Accession ID", order.authority, order.accession_number),
    )
    for code, display, authority, number in numbers:
        if number:
            yield typed(code, display, order_system_of(authority, settings), number)
    for procedure in order.procedures:
        yield {"system": "urn:dicom:uid", "value": f"urn:oid:{procedure.study_uid}"}


def own_identifier(order: Order, settings: FhirSettings) -> dict[str, Any]:
    """The identifier that no other order has: the accession number, or the Study Instance UID where there is none."""
    identifiers = list(_identifiers(order, settings))
    accession_number = (one for one in identifiers if "type" in one and one["type"]["coding"][0]["code"] == "ACSN")
    first_study = next(one for one in identifiers if "type" not in one)
    return next(accession_number, first_study)


def _code(order: Order, settings: FhirSettings) -> dict[str, Any] | None:
    attributes = order.procedures[0].attributes
    coded = _concepts(attributes, "RequestedProcedureCodeSequence", settings)
    return next(iter(coded or _text(attributes, "RequestedProcedureDescription")), None)


def _concepts(attributes: Attributes, keyword: str, settings: FhirSettings) -> list[dict[str, Any]]:
    items = attributes.get(keyword)
    return list(codeable_concepts(items, [], None, settings)) if items else []


def _text(attributes: Attributes, keyword: str) -> list[dict[str, Any]]:
    written = plain(str(first(attributes.get(keyword)) or ""))
    return [{"text": written}] if written else []


def _once(concepts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for number, one in enumerate(concepts) if one not in concepts[:number]]


def _occurrence(order: Order, settings: FhirSettings) -> str | None:
    starts = [
        (str(step.attributes.get(START_DATE) or ""), str(step.attributes.get(START_TIME) or ""), step.attributes)
        for procedure in order.procedures
        for step in procedure.steps
    ]
    known = sorted((one for one in starts if one[0]), key=lambda one: one[:2])
    return _moment(known[0][2], START_DATE, START_TIME, settings) if known else None


def _moment(attributes: Attributes, date: str, time: str, settings: FhirSettings) -> str | None:
    with suppress(InvalidValue):
        return date_time(attributes[date], [attributes.get(time)], None, settings) if attributes.get(date) else None
    return None


def _as_r5(resource: dict[str, Any]) -> dict[str, Any]:
    changed = {key: value for key, value in resource.items() if key != "reasonCode"}
    if "code" in resource:
        changed["code"] = {"concept": resource["code"]}
    if "reasonCode" in resource:
        changed["reason"] = [{"concept": one} for one in resource["reasonCode"]]
    return changed
