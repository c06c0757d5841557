"""References that a study makes: to its patient, orders, visit, persons, devices and specimens, each by identifier or
by name, for the EHR owns what they mean."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.mapping.identifiers import NAMESPACE
from gateway.mapping.language.rows import Codes
from gateway.mapping.studies.base import (
    PARTICIPATION,
    FhirSettings,
    coding,
    first,
    oid_uri,
    order_system_of,
    plain,
    site_system,
    system_of,
    typed,
    universal,
)
from gateway.records.study import LinkedOrder


def patient_reference(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any]:
    """A logical reference to the Patient by identifier; the EHR owns the patient. A header without issuer is of the
    issuer of its order."""
    issuer, qualifiers, name, orders = (*others, None, None, None, None)[:4]
    authority = str(first(issuer) or _ordered_issuer(orders) or settings.patient_id_issuer)
    system = settings.identifier_systems.get(authority) or universal(qualifiers)
    if not system:
        # A number that nobody claims is this site's own, under a system that no EHR gives to anybody else's patient.
        system = system_of(authority, settings) if authority else site_system(settings)
    reference: dict[str, Any] = {
        "type": "Patient",
        "identifier": typed("MR", "Medical record number", system, str(first(value))),
    }
    if name:
        reference["display"] = _spoken(str(first(name)))
    return reference


def _ordered_issuer(orders: Sequence[LinkedOrder] | None) -> str:
    """Under whose number the patient was ordered for; '' when the orders do not agree."""
    issuers = {order.patient_issuer for order in orders or () if order.patient_issuer}
    return issuers.pop() if len(issuers) == 1 else ""


def _spoken(name: str) -> str:
    """PN as people say it: prefix given middle family suffix, of the first component group that has a name."""
    group = next((one for one in plain(name).split("=") if one.strip("^ ")), "")
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    return " ".join(part.strip() for part in (prefix, given, middle, family, suffix) if part.strip())


def accession_identifier(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any]:
    """Accession number, type ACSN, with the system of its issuer: as the header or else the linked order names it."""
    items, orders = (*others, None, None)[:2]
    number, item = str(first(value)), first(items) or {}
    ordered = next((one.accession_number_issuer for one in orders or () if one.accession_number == number), "")
    authority = str(item.get("LocalNamespaceEntityID") or ordered or settings.patient_id_issuer or "accession")
    system = settings.order_systems.get(authority) or universal(items) or order_system_of(authority, settings)
    return typed("ACSN", "Accession ID", system, number)


def accession_reference(
    value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings
) -> dict[str, Any]:
    """A logical reference to the ServiceRequest that has this accession number."""
    return {"type": "ServiceRequest", "identifier": accession_identifier(value, others, codes, settings)}


def study_id_identifier(
    value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any] | None:
    """Study ID under the site's system for it; nothing where the site names none."""
    written = plain(str(first(value)))
    return {"system": settings.study_id_system, "value": written} if written and settings.study_id_system else None


def encounter_reference(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any] | None:
    """Admission ID, with its issuer: a logical reference to the Encounter by visit number."""
    written, issuer = plain(str(first(value))), first((*others, None)[0]) or {}
    authority = str(issuer.get("LocalNamespaceEntityID") or "")
    system = settings.identifier_systems.get(authority) or universal([issuer])
    if not system:
        known = authority or settings.patient_id_issuer or settings.site_name
        system = f"urn:uuid:{uuid.uuid5(NAMESPACE, 'visit-authority' + chr(31) + known)}"
    return {"type": "Encounter", "identifier": typed("VN", "Visit number", system, written)} if written else None


def request_references(
    value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Items of Request Attributes and Referenced Request Sequences -> logical references to their ServiceRequests: by
    accession, else placer, else filler number."""
    references = []
    for item in value if isinstance(value, list) else []:
        accession_number = plain(str(item.get("AccessionNumber") or ""))
        if accession_number:
            issuer = item.get("IssuerOfAccessionNumberSequence") or (others or [None])[0]
            references.append(accession_reference(accession_number, [issuer, *others[1:]], codes, settings))
            continue
        for code, meaning, keyword, authority in _NUMBERS:
            number = plain(str(item.get(keyword) or ""))
            if number:
                given = first(item.get(authority)) or {}
                name = str(given.get("LocalNamespaceEntityID") or settings.patient_id_issuer or "order")
                system = settings.order_systems.get(name) or universal([given]) or order_system_of(name, settings)
                references.append({"type": "ServiceRequest", "identifier": typed(code, meaning, system, number)})
                break
    return references


_NUMBERS: Final = (
    ("PLAC", "Placer Identifier", "PlacerOrderNumberImagingServiceRequest", "OrderPlacerIdentifierSequence"),
    ("FILL", "Filler Identifier", "FillerOrderNumberImagingServiceRequest", "OrderFillerIdentifierSequence"),
)


def order_references(
    value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Logical references to the ServiceRequests of the linked orders: by accession, else placer, else filler number."""
    references = []
    for order in value:
        assert isinstance(order, LinkedOrder)
        numbers = (
            ("ACSN", "Accession ID", order.accession_number_issuer, order.accession_number),
            ("PLAC", "Placer Identifier", order.placer_authority, order.placer),
            ("FILL", "Filler Identifier", order.filler_authority, order.filler),
        )
        for code, display, authority, number in numbers:
            if number:
                identifier = typed(code, display, order_system_of(authority, settings), number)
                references.append({"type": "ServiceRequest", "identifier": identifier})
                break
    return references


def _person(name: Any, item: Any, settings: FhirSettings) -> dict[str, Any] | None:
    """A Practitioner by name, and by the first id in `item` of an identification sequence whose scheme has a URI."""
    stated = _spoken(str(first(name) or ""))
    if not stated:
        return None
    codes = item.get("PersonIdentificationCodeSequence") if isinstance(item, Mapping) else None
    coded = next((one for code in codes or () if (one := coding(code, settings))), None)
    who: dict[str, Any] = {"type": "Practitioner"} if coded else {}
    if coded:
        who["identifier"] = {"system": coded["system"], "value": coded["code"]}
    return {**who, "display": stated}


def person_display(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any] | None:
    """PN -> a reference that holds the name, and the id of the person's identification sequence if it has one."""
    return _person(value, first((*others, None)[0]), settings)


def person_displays(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """PN, several -> references that hold the names, and the ids of the identification sequence in the same order."""
    names = value if isinstance(value, list) else [value]
    items = (*others, None)[0] or []
    ids = items if isinstance(items, list) and len(items) == len(names) else [None] * len(names)
    return [one for name, item in zip(names, ids, strict=True) if (one := _person(name, item, settings))]


def display(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any] | None:
    """Text -> a reference that holds the text only."""
    written = plain(str(first(value)))
    return {"display": written} if written else None


def _performing(actors: Sequence[Mapping[str, Any]], code: str, meaning: str) -> list[dict[str, Any]]:
    function = {"coding": [{"system": PARTICIPATION, "code": code, "display": meaning}]}
    return [{"function": function, "actor": actor} for actor in actors]


def performers(value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings) -> list[dict[str, Any]]:
    """Performing physicians: function PRF."""
    return _performing(person_displays(value, others, codes, settings), "PRF", "performer")


def operators(value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings) -> list[dict[str, Any]]:
    """Operators: function SPRF."""
    return _performing(person_displays(value, others, codes, settings), "SPRF", "secondary performer")


def device_performer(
    value: Any, others: Sequence[Any], _codes: Codes | None, _settings: FhirSettings
) -> list[dict[str, Any]]:
    """Manufacturer, with model, station, serial number and Device UID: the modality, function DEV."""
    maker = plain(str(first(value)))
    model, station, serial, uid = (plain(str(first(one) or "")) for one in (*others, "", "", "", "")[:4])
    spoken = " ".join(dict.fromkeys(part for part in (maker, model) if part)) or station
    if not spoken:
        return []
    device: dict[str, Any] = {"type": "Device"}
    if oid_uri(uid):
        device["identifier"] = {"system": "urn:dicom:uid", "value": oid_uri(uid)}
    elif serial:
        # A serial number is its maker's; two makers may give the same one.
        made_by = uuid.uuid5(NAMESPACE, "manufacturer" + chr(31) + maker.upper())
        device["identifier"] = {"system": f"urn:uuid:{made_by}", "value": serial}
    device["display"] = f"{spoken} ({station})" if station and station != spoken else spoken
    return _performing([device], "DEV", "device")


def institution_performer(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Institution Name, with its code: the organization where it was done, function LOC."""
    name = plain(str(first(value)))
    item = first((*others, None)[0])
    coded = coding(item, settings) if isinstance(item, Mapping) else None
    who = {"type": "Organization"} | (
        {"identifier": {"system": coded["system"], "value": coded["code"]}} if coded else {}
    )
    return _performing([{**who, "display": name}], "LOC", "location") if name else []


def specimens(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> list[dict[str, Any]]:
    """Specimen Description Sequence, or a Container Identifier -> references to the specimens, by UID or identifier."""
    found: list[dict[str, Any]] = []
    for item in value if isinstance(value, list) else [{"SpecimenIdentifier": value}]:
        if not isinstance(item, Mapping):
            continue
        uid, name = (plain(str(item.get(key) or "")) for key in ("SpecimenUID", "SpecimenIdentifier"))
        system = universal(item.get("IssuerOfTheSpecimenIdentifierSequence"))
        reference: dict[str, Any] = {"type": "Specimen"}
        if oid_uri(uid):
            reference["identifier"] = {"system": "urn:dicom:uid", "value": oid_uri(uid)}
        elif name and system:
            reference["identifier"] = {"system": system, "value": name}
        if name:
            reference["display"] = name
        if len(reference) > 1:
            found.append(reference)
    return found
