"""What FHIR R4 (4.0.1) asks of the resources that the simulated EHR takes: cardinality, types, bindings.

Written from the published StructureDefinitions, and apart from what the gateway itself validates with, so
that the one can find a fault of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_DATE_TIME = (
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)))?)?)?"
)
_TEXT = {
    "string": re.compile(r"[\s\S]*\S[\s\S]*"),
    "code": re.compile(r"\S+(\s\S+)*"),
    "uri": re.compile(r"\S+"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "date": re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"),
    "dateTime": re.compile(_DATE_TIME),
}
"""Primitive types that are JSON strings (FHIR R4 datatypes, 2.24.0.1)."""

_CODES = {
    element: frozenset(codes.split())
    for element, codes in {
        "ImagingStudy.status": "registered available cancelled entered-in-error unknown",
        "ServiceRequest.status": "draft active on-hold revoked completed entered-in-error unknown",
        "ServiceRequest.intent": "proposal plan directive order original-order reflex-order filler-order"
        " instance-order option",
        "ServiceRequest.priority": "routine urgent asap stat",
        "Task.status": "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed"
        " entered-in-error",
        "Task.intent": "unknown proposal plan order original-order reflex-order filler-order instance-order option",
        "Procedure.status": "preparation in-progress not-done on-hold stopped completed entered-in-error unknown",
        "Patient.gender": "male female other unknown",
        "Endpoint.status": "active suspended error off entered-in-error test",
        "Identifier.use": "usual official temp secondary old",
        "HumanName.use": "usual official temp nickname anonymous old maiden",
    }.items()
}
"""Required bindings: another code is an error."""

_ELEMENTS: dict[str, dict[str, str]] = {
    "Coding": {
        "system": "0..1 uri",
        "version": "0..1 string",
        "code": "0..1 code",
        "display": "0..1 string",
        "userSelected": "0..1 boolean",
    },
    "CodeableConcept": {"coding": "0..* Coding", "text": "0..1 string"},
    "Period": {"start": "0..1 dateTime", "end": "0..1 dateTime"},
    "Identifier": {
        "use": "0..1 code",
        "type": "0..1 CodeableConcept",
        "system": "0..1 uri",
        "value": "0..1 string",
        "period": "0..1 Period",
        "assigner": "0..1 Reference(Organization)",
    },
    "Reference": {
        "reference": "0..1 string",
        "type": "0..1 uri",
        "identifier": "0..1 Identifier",
        "display": "0..1 string",
    },
    "HumanName": {
        "use": "0..1 code",
        "text": "0..1 string",
        "family": "0..1 string",
        "given": "0..* string",
        "prefix": "0..* string",
        "suffix": "0..* string",
        "period": "0..1 Period",
    },
    "Resource": {
        "id": "0..1 id",
        "meta": "0..1 any",
        "implicitRules": "0..1 uri",
        "language": "0..1 code",
        "text": "0..1 any",
        "contained": "0..* any",
        "modifierExtension": "0..* any",
    },
    "ImagingStudy": {
        "identifier": "0..* Identifier",
        "status": "1..1 code",
        "modality": "0..* Coding",
        "subject": "1..1 Reference(Patient|Device|Group)",
        "encounter": "0..1 Reference(Encounter)",
        "started": "0..1 dateTime",
        "basedOn": "0..* Reference(CarePlan|ServiceRequest|Appointment|AppointmentResponse|Task)",
        "referrer": "0..1 Reference(Practitioner|PractitionerRole)",
        "interpreter": "0..* Reference(Practitioner|PractitionerRole)",
        "endpoint": "0..* Reference(Endpoint)",
        "numberOfSeries": "0..1 unsignedInt",
        "numberOfInstances": "0..1 unsignedInt",
        "procedureReference": "0..1 Reference(Procedure)",
        "procedureCode": "0..* CodeableConcept",
        "location": "0..1 Reference(Location)",
        "reasonCode": "0..* CodeableConcept",
        "reasonReference": "0..* Reference(Condition|Observation|Media|DiagnosticReport|DocumentReference)",
        "note": "0..* any",
        "description": "0..1 string",
        "series": "0..* ImagingStudy.series",
    },
    "ImagingStudy.series": {
        "id": "0..1 string",
        "uid": "1..1 id",
        "number": "0..1 unsignedInt",
        "modality": "1..1 Coding",
        "description": "0..1 string",
        "numberOfInstances": "0..1 unsignedInt",
        "endpoint": "0..* Reference(Endpoint)",
        "bodySite": "0..1 Coding",
        "laterality": "0..1 Coding",
        "specimen": "0..* Reference(Specimen)",
        "started": "0..1 dateTime",
        "performer": "0..* ImagingStudy.series.performer",
        "instance": "0..* ImagingStudy.series.instance",
    },
    "ImagingStudy.series.performer": {
        "function": "0..1 CodeableConcept",
        "actor": "1..1 Reference(Practitioner|PractitionerRole|Organization|CareTeam|Patient|Device|RelatedPerson)",
    },
    "ImagingStudy.series.instance": {
        "id": "0..1 string",
        "uid": "1..1 id",
        "sopClass": "1..1 Coding",
        "number": "0..1 unsignedInt",
        "title": "0..1 string",
    },
    "Patient": {
        "identifier": "0..* Identifier",
        "active": "0..1 boolean",
        "name": "0..* HumanName",
        "telecom": "0..* any",
        "gender": "0..1 code",
        "birthDate": "0..1 date",
        "deceasedBoolean": "0..1 boolean",
        "deceasedDateTime": "0..1 dateTime",
        "address": "0..* any",
        "maritalStatus": "0..1 CodeableConcept",
        "contact": "0..* any",
        "communication": "0..* any",
        "generalPractitioner": "0..* Reference(Organization|Practitioner|PractitionerRole)",
        "managingOrganization": "0..1 Reference(Organization)",
        "link": "0..* any",
    },
    "ServiceRequest": {
        "identifier": "0..* Identifier",
        "basedOn": "0..* Reference(CarePlan|ServiceRequest|MedicationRequest)",
        "requisition": "0..1 Identifier",
        "status": "1..1 code",
        "intent": "1..1 code",
        "category": "0..* CodeableConcept",
        "priority": "0..1 code",
        "code": "0..1 CodeableConcept",
        "subject": "1..1 Reference(Patient|Group|Location|Device)",
        "encounter": "0..1 Reference(Encounter)",
        "occurrenceDateTime": "0..1 dateTime",
        "occurrencePeriod": "0..1 Period",
        "authoredOn": "0..1 dateTime",
        "requester": "0..1 Reference(Practitioner|PractitionerRole|Organization|Patient|RelatedPerson|Device)",
        "performer": "0..* any",
        "reasonCode": "0..* CodeableConcept",
        "reasonReference": "0..* any",
        "bodySite": "0..* CodeableConcept",
        "note": "0..* any",
        "patientInstruction": "0..1 string",
    },
    "Task": {
        "identifier": "0..* Identifier",
        "basedOn": "0..* any",
        "status": "1..1 code",
        "intent": "1..1 code",
        "code": "0..1 CodeableConcept",
        "description": "0..1 string",
        "focus": "0..1 any",
        "for": "0..1 any",
        "encounter": "0..1 Reference(Encounter)",
        "executionPeriod": "0..1 Period",
        "authoredOn": "0..1 dateTime",
        "owner": "0..1 any",
        "location": "0..1 Reference(Location)",
        "note": "0..* any",
    },
    "Procedure": {
        "identifier": "0..* Identifier",
        "basedOn": "0..* Reference(CarePlan|ServiceRequest)",
        "partOf": "0..* Reference(Procedure|Observation|MedicationAdministration)",
        "status": "1..1 code",
        "category": "0..1 CodeableConcept",
        "code": "0..1 CodeableConcept",
        "subject": "1..1 Reference(Patient|Group)",
        "encounter": "0..1 Reference(Encounter)",
        "performedPeriod": "0..1 Period",
        "performer": "0..* any",
        "location": "0..1 Reference(Location)",
        "note": "0..* any",
    },
    "Endpoint": {
        "identifier": "0..* Identifier",
        "status": "1..1 code",
        "connectionType": "1..1 Coding",
        "name": "0..1 string",
        "managingOrganization": "0..1 Reference(Organization)",
        "contact": "0..* any",
        "period": "0..1 Period",
        "payloadType": "1..* CodeableConcept",
        "payloadMimeType": "0..* code",
        "address": "1..1 uri",
        "header": "0..* string",
    },
}

RESOURCES = ("Endpoint", "ImagingStudy", "Patient", "Procedure", "ServiceRequest", "Task")
"""The resource types that are served."""


@dataclass(frozen=True)
class Issue:
    """One fault: an issue code of OperationOutcome, where it is (a FHIRPath), and what it is."""

    code: str
    expression: str
    text: str


def faults(resource: Mapping[str, Any]) -> list[Issue]:
    """Every fault of a resource of one of the `RESOURCES`; an empty list when it is valid."""
    kind = str(resource["resourceType"])
    elements = {**_ELEMENTS["Resource"], **_ELEMENTS[kind]}
    return list(_object_faults({k: v for k, v in resource.items() if k != "resourceType"}, kind, kind, elements))


def _object_faults(value: Mapping[str, Any], path: str, kind: str, elements: Mapping[str, str]) -> Iterator[Issue]:
    for name in value:
        # "_status" carries the id and extensions of the primitive "status" (FHIR R4 JSON 2.6.2.3).
        if name.removeprefix("_") not in elements and name not in ("extension", "id"):
            yield Issue("structure", f"{path}.{name}", f"{kind} has no element {name}")
    for name, rule in elements.items():
        cardinality, _, target = rule.partition(" ")
        least, most = cardinality.split("..")
        here = f"{path}.{name}"
        if name not in value:
            if least == "1":
                yield Issue("required", here, "a required element is missing")
        elif most == "*":
            yield from _list_faults(value[name], here, f"{kind}.{name}", target)
        else:
            yield from _value_faults(value[name], here, f"{kind}.{name}", target)


def _list_faults(value: Any, path: str, element: str, target: str) -> Iterator[Issue]:
    if not isinstance(value, list) or not value:
        yield Issue("structure", path, "must be a list with at least one item")
        return
    for index, item in enumerate(value):
        yield from _value_faults(item, f"{path}[{index}]", element, target)


def _value_faults(value: Any, path: str, element: str, target: str) -> Iterator[Issue]:
    base, _, referable = target.partition("(")
    if base == "any":
        return
    if base == "boolean":
        if not isinstance(value, bool):
            yield Issue("value", path, "must be true or false")
    elif base == "unsignedInt":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
            yield Issue("value", path, "must be a whole number from 0 to 2147483647")
    elif base in _TEXT:
        if not isinstance(value, str) or not _TEXT[base].fullmatch(value):
            yield Issue("value", path, f"is not a valid {base}")
        elif element in _CODES and value not in _CODES[element]:
            yield Issue("code-invalid", path, f"{value!r} is not one of {', '.join(sorted(_CODES[element]))}")
    elif not isinstance(value, dict) or not value:
        yield Issue("structure", path, f"must be an object ({base}) that is not empty")
    else:
        yield from _object_faults(value, path, base, _ELEMENTS[base])
        if referable:
            yield from _target_faults(value, path, referable.rstrip(")").split("|"))


def _target_faults(reference: Mapping[str, Any], path: str, allowed: list[str]) -> Iterator[Issue]:
    """Patient/1 names its type, and so does `type`; #contained and absolute references are not judged."""
    literal = reference.get("reference")
    if isinstance(literal, str) and re.fullmatch(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}", literal):
        named = literal.split("/")[0]
    else:
        named = str(reference.get("type", allowed[0]))
    if named not in allowed:
        yield Issue("value", path, f"refers to a {named}; allowed: {', '.join(allowed)}")
