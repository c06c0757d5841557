"""The named functions of `study_to_imagingstudy.yaml`: from DICOM values to FHIR R4 elements.

Each takes the value, the row's companions (`with`), the row's code table (or None) and the `FhirSettings`, and returns
a FHIR element, a list of them, or None for nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.mapping.identifiers import NAMESPACE
from gateway.mapping.language import Codes
from gateway.records.study import LinkedOrder

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SCT: Final = "http://snomed.info/sct"
V2_0203: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
MAX_UNSIGNED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class FhirSettings:
    """What a site says of its identifiers and times."""

    zone: ZoneInfo | None
    patient_id_issuer: str = ""
    identifier_systems: Mapping[str, str] = field(default_factory=dict)
    """Of patients' identifiers, by assigning authority."""
    coding_schemes: Mapping[str, str] = field(default_factory=dict)
    order_systems: Mapping[str, str] = field(default_factory=dict)
    """Of accession, placer and filler numbers, by assigning authority or sending facility."""
    site_name: str = ""
    """Whose Patient IDs are that nobody else has claimed."""


Function = Callable[[Any, Sequence[Any], Codes | None, FhirSettings], Any]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else (None if value == [] else value)


def system_of(authority: str, settings: FhirSettings) -> str:
    """The identifier system of an assigning authority: the site's own URI, else one derived from its name, the same
    everywhere and never another authority's."""
    known = settings.identifier_systems.get(authority)
    return known or f"urn:uuid:{uuid.uuid5(NAMESPACE, 'authority' + chr(31) + authority)}"


def _site_system(settings: FhirSettings) -> str:
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, 'site' + chr(31) + settings.site_name)}"


def order_system_of(authority: str, settings: FhirSettings) -> str:
    """The system of order and accession numbers that `authority` gives; never the one of its patients' numbers."""
    known = settings.order_systems.get(authority)
    return known or f"urn:uuid:{uuid.uuid5(NAMESPACE, 'order-authority' + chr(31) + authority)}"


def _universal(items: Any) -> str:
    """The URI of a Hierarchic Designator item (PS3.3 10.14), '' if it has no universal id that is one."""
    item = _first(items) or {}
    universal, kind = str(item.get("UniversalEntityID") or ""), str(item.get("UniversalEntityIDType") or "ISO").upper()
    shape, prefix = _UNIVERSAL.get(kind, (None, ""))
    return f"{prefix}{universal}" if shape and shape.fullmatch(universal) else ""


_UNIVERSAL: Final = {
    "ISO": (re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII), "urn:oid:"),
    "UUID": (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "urn:uuid:"),
    "URI": (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"), ""),
}
"""Universal Entity ID Type -> what such an id looks like, and what makes it a URI."""


def text(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> str | None:
    """A string, without control characters."""
    return _plain(str(_first(value))) or None


def _plain(written: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", written).strip()


def uid_identifier(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any]:
    """The Study Instance UID as FHIR wants it: system urn:dicom:uid, value urn:oid:..."""
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{_first(value)}"}


def _typed(code: str, display: str, system: str, value: str) -> dict[str, Any]:
    coding = {"system": V2_0203, "code": code, "display": display}
    return {"type": {"coding": [coding]}, "system": system, "value": _plain(value)}


def accession_identifier(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any]:
    """Accession number, type ACSN, with the system of its issuer: as the header or else the linked order names it."""
    items, orders = (*others, None, None)[:2]
    number, item = str(_first(value)), _first(items) or {}
    ordered = next((one.accession_issuer for one in orders or () if one.accession == number), "")
    authority = str(item.get("LocalNamespaceEntityID") or ordered or settings.patient_id_issuer or "accession")
    system = settings.order_systems.get(authority) or _universal(items) or order_system_of(authority, settings)
    return _typed("ACSN", "Accession ID", system, number)


def patient_reference(
    value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> dict[str, Any]:
    """A logical reference to the Patient by identifier; the EHR owns the patient. A header without issuer means the
    issuer of its order."""
    issuer, qualifiers, name, orders = (*others, None, None, None, None)[:4]
    authority = str(_first(issuer) or _ordered_issuer(orders) or settings.patient_id_issuer)
    system = settings.identifier_systems.get(authority) or _universal(qualifiers)
    if not system:
        # A number that nobody claims is this site's own, under a system that no EHR gives to anybody else's patient.
        system = system_of(authority, settings) if authority else _site_system(settings)
    reference: dict[str, Any] = {
        "type": "Patient",
        "identifier": _typed("MR", "Medical record number", system, str(_first(value))),
    }
    if name:
        reference["display"] = _spoken(str(_first(name)))
    return reference


def _ordered_issuer(orders: Sequence[LinkedOrder] | None) -> str:
    """Under whose number the patient was ordered for; '' when the orders do not agree."""
    issuers = {order.patient_issuer for order in orders or () if order.patient_issuer}
    return issuers.pop() if len(issuers) == 1 else ""


def _spoken(name: str) -> str:
    """PN as people say it: prefix given middle family suffix, of the first component group that has a name."""
    group = next((one for one in _plain(name).split("=") if one.strip("^ ")), "")
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    return " ".join(part.strip() for part in (prefix, given, middle, family, suffix) if part.strip())


def order_references(
    value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Logical references to the ServiceRequests of the linked orders: by accession, else placer, else filler number."""
    references = []
    for order in value:
        assert isinstance(order, LinkedOrder)
        numbers = (
            ("ACSN", "Accession ID", order.accession_issuer, order.accession),
            ("PLAC", "Placer Identifier", order.placer_authority, order.placer),
            ("FILL", "Filler Identifier", order.filler_authority, order.filler),
        )
        for code, display, authority, number in numbers:
            if number:
                identifier = _typed(code, display, order_system_of(authority, settings), number)
                references.append({"type": "ServiceRequest", "identifier": identifier})
                break
    return references


_DATE: Final = re.compile(r"(\d{4})([.]?)(\d{2})\2(\d{2})", re.ASCII)
"""DA, and its form before DICOM 3.0 (PS3.5 6.2)."""
_TIME: Final = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?", re.ASCII)
_OFFSET: Final = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)


def date_time(value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings) -> str | None:
    """DA with TM and Timezone Offset From UTC (else the site's zone) -> dateTime; the date alone when the time or
    every zone is unknown, for a time without offset is not legal in FHIR."""
    date = _DATE.fullmatch(str(_first(value)).strip())
    if date is None:
        return None
    try:
        day = datetime(int(date[1]), int(date[3]), int(date[4]))  # noqa: DTZ001 (a calendar day has no zone)
    except ValueError:
        return None
    written, offset = (str(_first(one) or "").strip() for one in (*others, "", "")[:2])
    time, zone = _TIME.fullmatch(written), _zone(offset, settings)
    hour, minute, second = (int(part or 0) for part in time.group(1, 2, 3)) if time else (99, 0, 0)
    if time is None or zone is None or hour > 23 or minute > 59 or second > 60:
        return day.date().isoformat()
    fraction = int((time[4] or "").ljust(6, "0"))
    moment = day.replace(hour=hour, minute=minute, second=min(second, 59), microsecond=fraction, tzinfo=zone)
    if (moment.utcoffset() or timedelta()).seconds % 60:
        # Local mean time of long ago; an offset in FHIR has no seconds.
        return day.date().isoformat()
    return moment.isoformat(timespec="milliseconds" if fraction else "seconds")


def _zone(offset: str, settings: FhirSettings) -> timezone | ZoneInfo | None:
    match = _OFFSET.fullmatch(offset)
    if match is None:
        return settings.zone
    sign = -1 if match[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))


def unsigned(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> int | None:
    """IS -> unsignedInt; nothing when it is no whole number or out of range."""
    match = re.fullmatch(r"\+?(\d{1,12})(\.0*)?", str(_first(value)).strip(), re.ASCII)
    number = int(match[1]) if match else -1
    return number if 0 <= number <= MAX_UNSIGNED else None


def dicom_code(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any]:
    """A Defined Term as a Coding of the DICOM ontology."""
    return {"system": DCM, "code": str(_first(value)).strip()}


def modalities(value: Any, _with: Sequence[Any], codes: Codes | None, _settings: FhirSettings) -> list[dict[str, Any]]:
    """The modalities of the row's table (R4: acquisition modalities, CID 29), its values their names."""
    found = []
    for code in sorted(set(value if isinstance(value, list) else [value])) if codes else ():
        name = codes.translate(code) if codes else None
        if name is not None or (codes and codes.unknown == "keep"):
            found.append({"system": DCM, "code": code} | ({"display": name} if name else {}))
    return found


_SRT_TO_SCT: Final = {"SRT", "SNM3", "99SDM"}


def coding(item: Mapping[str, Any], settings: FhirSettings) -> dict[str, Any] | None:
    """A code sequence item -> Coding; None when its scheme has no URI."""
    code = str(item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue") or "")
    scheme = str(item.get("CodingSchemeDesignator") or "").upper()
    if scheme in _SRT_TO_SCT:
        from pydicom.sr._snomed_dict import mapping as snomed

        code, scheme = snomed["SRT"].get(code, ""), "SCT"
    uid = str(item.get("CodingSchemeUID") or "")
    system = settings.coding_schemes.get(scheme) or (f"urn:oid:{uid}" if uid else "")
    if not code or not system:
        return None
    result = {"system": system, "code": code}
    if item.get("CodeMeaning"):
        result["display"] = str(item["CodeMeaning"])
    return result


def codeable_concepts(
    value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Code sequence items -> CodeableConcepts; a local code without a URI stays as text."""
    concepts: list[dict[str, Any]] = []
    for item in value if isinstance(value, list) else []:
        one, meaning = coding(item, settings), str(item.get("CodeMeaning") or item.get("CodeValue") or "")
        if one:
            concepts.append({"coding": [one], "text": meaning} if meaning else {"coding": [one]})
        elif meaning:
            concepts.append({"text": meaning})
    return concepts


def body_site(value: Any, _with: Sequence[Any], codes: Codes | None, settings: FhirSettings) -> dict[str, Any] | None:
    """Anatomic Region Sequence as it is; Body Part Examined through the row's table (`code|meaning` of SNOMED CT),
    kept as display alone when it is not in there."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return coding(value[0], settings)
    raw = _plain(str(_first(value)))
    if codes is None:
        return {"display": raw}
    known = codes.translate(re.sub(r"[\s_]+", "", raw))
    if known:
        code, _, meaning = known.partition("|")
        return {"system": SCT, "code": code} | ({"display": meaning} if meaning else {})
    return {"display": raw} if known is None and codes.unknown == "keep" else None


_LATERALITY: Final = {
    "L": ("7771000", "Left"),
    "R": ("24028007", "Right"),
    "B": ("51440002", "Right and left"),
    "U": ("66459002", "Unilateral"),
}


def laterality(
    value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings
) -> dict[str, Any] | None:
    """L, R, B, U -> SNOMED CT (PS3.16 CID 244)."""
    known = _LATERALITY.get(str(_first(value)).strip().upper())
    return {"system": SCT, "code": known[0], "display": known[1]} if known else None


def person_display(
    value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings
) -> dict[str, Any] | None:
    """PN -> a reference that holds the name only."""
    name = _spoken(str(_first(value) or ""))
    return {"display": name} if name else None


def person_displays(
    value: Any, _with: Sequence[Any], codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """PN, several -> references that hold the names only."""
    names = value if isinstance(value, list) else [value]
    return [one for name in names if (one := person_display(name, (), codes, settings))]


def display(value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings) -> dict[str, Any] | None:
    """Text -> a reference that holds the text only."""
    written = text(value, others, codes, settings)
    return {"display": written} if written else None


def _performers(value: Any, code: str, meaning: str, settings: FhirSettings) -> list[dict[str, Any]]:
    function = {"coding": [{"system": PARTICIPATION, "code": code, "display": meaning}]}
    return [{"function": function, "actor": actor} for actor in person_displays(value, (), None, settings)]


def performers(value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings) -> list[dict[str, Any]]:
    """Performing physicians: function PRF."""
    return _performers(value, "PRF", "performer", settings)


def operators(value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings) -> list[dict[str, Any]]:
    """Operators: function SPRF."""
    return _performers(value, "SPRF", "secondary performer", settings)


def sop_class(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any]:
    """A SOP Class UID as a Coding of the URI namespace."""
    return {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{_first(value)}"}


FUNCTIONS: Final[dict[str, Function]] = {
    function.__name__: function
    for function in (
        text, uid_identifier, accession_identifier, patient_reference, order_references, date_time, unsigned,
        dicom_code, modalities, codeable_concepts, body_site, laterality, person_display, person_displays, display,
        performers, operators, sop_class,
    )
}  # fmt: skip

RETURNS: Final = {
    "text": "string", "uid_identifier": "Identifier", "accession_identifier": "Identifier",
    "patient_reference": "Reference", "order_references": "Reference*", "date_time": "dateTime",
    "unsigned": "unsignedInt", "dicom_code": "Coding", "modalities": "Coding*",
    "codeable_concepts": "CodeableConcept*", "body_site": "Coding", "laterality": "Coding",
    "person_display": "Reference", "person_displays": "Reference*", "display": "Reference",
    "performers": "performer*", "operators": "performer*", "sop_class": "Coding",
}  # fmt: skip
"""The FHIR type that a function gives; `*` for a list."""
COMPANIONS: Final = {"accession_identifier": 2, "patient_reference": 4, "date_time": 2}
"""How many attributes a function takes in `with`."""
TABLES: Final = frozenset({"modalities", "body_site"})
"""Functions that use the row's code table."""
