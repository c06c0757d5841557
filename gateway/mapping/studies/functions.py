"""The named functions of `study_to_imagingstudy.yaml`: from DICOM values to FHIR elements.

Each takes the value, the row's companions (`with`), the row's code table (or None) and the `FhirSettings`, and returns
a FHIR element, a list of them, or None for nothing. Raises `InvalidValue` for what FHIR cannot hold: the attribute is
then left out with a finding, and the row's next path is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue
from gateway.mapping.language.functions import MappingFunction, registry
from gateway.mapping.language.rows import Codes
from gateway.mapping.studies.base import DCM, LINKED_ORDER, SCT, FhirSettings, coding, first, oid_uri, plain
from gateway.mapping.studies.references import (
    accession_identifier,
    accession_reference,
    device_performer,
    display,
    encounter_reference,
    institution_performer,
    operators,
    order_references,
    patient_reference,
    performers,
    person_display,
    person_displays,
    request_references,
    specimens,
    study_id_identifier,
)

MAX_UNSIGNED: Final = 2**31 - 1


def text(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> str | None:
    """A string, without control characters."""
    return plain(str(first(value))) or None


def uid_identifier(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any]:
    """The Study Instance UID as FHIR wants it: system urn:dicom:uid, value urn:oid:..."""
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{first(value)}"}


_DATE: Final = re.compile(r"(\d{4})([.]?)(\d{2})\2(\d{2})", re.ASCII)
"""DA, and its form before DICOM 3.0 (PS3.5 6.2)."""
_TIME: Final = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?\d*)?)?", re.ASCII)
"""TM; digits behind the seconds without a point are seen and say nothing."""
_STAMP: Final = re.compile(r"(\d{8})(\d{2}[\d.]*)([+-]\d{4})?", re.ASCII)
"""DT down to the hour at least."""
_OFFSET: Final = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)


def date_time(value: Any, others: Sequence[Any], _codes: Codes | None, settings: FhirSettings) -> str | None:
    """DA with TM and Timezone Offset From UTC (else the site's zone), or DT with an offset of its own -> dateTime; the
    date alone when the time or every zone is unknown, for a time without offset is not legal in FHIR."""
    date, written, offset = _parts(str(first(value)).strip(), others)
    if date is None:
        raise InvalidValue(f"{first(value)!r} is no date")
    try:
        day = datetime(int(date[1]), int(date[3]), int(date[4]))  # noqa: DTZ001 (a calendar day has no zone)
    except ValueError as error:
        raise InvalidValue(f"{first(value)!r} is no date") from error
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


def _parts(value: str, others: Sequence[Any]) -> tuple[re.Match[str] | None, str, str]:
    """(date, time, offset) of a DA and its companions, or of a DT."""
    written, offset = (str(first(one) or "").strip() for one in (*others, "", "")[:2])
    if (stamp := _STAMP.fullmatch(value)) is not None:
        return _DATE.fullmatch(stamp[1]), stamp[2], stamp[3] or offset
    return _DATE.fullmatch(value), written, offset


def _zone(offset: str, settings: FhirSettings) -> timezone | ZoneInfo | None:
    match = _OFFSET.fullmatch(offset)
    if match is None:
        return settings.zone
    sign = -1 if match[1] == "-" else 1
    return timezone(sign * timedelta(hours=int(match[2]), minutes=int(match[3])))


_WHOLE: Final = re.compile(r"\+?(\d{1,12})(\.0*)?", re.ASCII)


def unsigned(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> int | None:
    """IS -> unsignedInt; nothing when it is no whole number or out of range."""
    match = _WHOLE.fullmatch(str(first(value)).strip())
    number = int(match[1]) if match else -1
    if not 0 <= number <= MAX_UNSIGNED:
        raise InvalidValue(f"{first(value)!r} is no whole number from 0 to {MAX_UNSIGNED}")
    return number


def dicom_code(value: Any, _with: Sequence[Any], codes: Codes | None, _settings: FhirSettings) -> dict[str, Any] | None:
    """A Defined Term as a Coding of the DICOM ontology; with a table, a term of the table, in capital letters."""
    code = " ".join(str(first(value)).split())
    if codes is not None:
        known = codes.translate(code) or codes.translate(code.upper())
        if known is None and codes.unknown == "keep":
            known = code
        if known is None:
            raise InvalidValue(f"{code!r} is not in the table {codes.table!r}")
        code = known
    return {"system": DCM, "code": code} if code else None


def modalities(value: Any, _with: Sequence[Any], codes: Codes | None, _settings: FhirSettings) -> list[dict[str, Any]]:
    """The modalities of the row's table (R4: acquisition modalities, CID 29), its values their names."""
    found = []
    for code in sorted(set(value if isinstance(value, list) else [value])) if codes else ():
        name = codes.translate(code) if codes else None
        if name is not None or (codes and codes.unknown == "keep"):
            found.append({"system": DCM, "code": code} | ({"display": name} if name else {}))
    return found


def codeable_concepts(
    value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Code sequence items -> CodeableConcepts; a local code without a URI stays as text, and so does a text."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        written = plain(str(first(value)))
        return [{"text": written}] if written else []
    concepts: list[dict[str, Any]] = []
    for item in value:
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
        if (region := coding(value[0], settings)) is None:
            raise InvalidValue("the code has no coding scheme with an address")
        return region
    raw = plain(str(first(value)))
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
}
_UNPAIRED: Final = "U"
"""No laterality; SNOMED CT's "Unilateral" says something else."""


def laterality(value: Any, _with: Sequence[Any], _codes: Codes | None, settings: FhirSettings) -> dict[str, Any] | None:
    """L, R, B, or modifier codes of the same meaning -> SNOMED CT (PS3.16 CID 244); different ones are no side."""
    stated = value if isinstance(value, list) else [value]
    sides = dict.fromkeys(side for one in stated if (side := _side(one, settings)))
    if len(sides) > 1 or (sides and any(isinstance(one, str) and _side(one, settings) is None for one in stated)):
        raise InvalidValue("the images show different sides")
    return next(({"system": SCT, "code": code, "display": meaning} for code, meaning in sides), None)


def _side(stated: Any, settings: FhirSettings) -> tuple[str, str] | None:
    """Raises `InvalidValue` for a letter that is none of PS3.3 C.7.3.1.1.1."""
    if isinstance(stated, dict):
        meant = (coding(stated, settings) or {}).get("code")
        return next((one for one in _LATERALITY.values() if one[0] == meant), None)
    letter = str(stated).strip().upper()
    if letter not in _LATERALITY and letter != _UNPAIRED:
        raise InvalidValue(f"{letter!r} is none of L, R, B, U")
    return _LATERALITY.get(letter)


def sop_class(value: Any, _with: Sequence[Any], _codes: Codes | None, _settings: FhirSettings) -> dict[str, Any]:
    """A SOP Class UID as a Coding of the URI namespace."""
    if not (uri := oid_uri(str(first(value)))):
        raise InvalidValue(f"{first(value)!r} is no UID")
    return {"system": "urn:ietf:rfc:3986", "code": uri}


def frames_extension(
    value: Any, others: Sequence[Any], codes: Codes | None, settings: FhirSettings
) -> list[dict[str, Any]]:
    """Number of Frames as an extension; the row's table says its address, at NUMBEROFFRAMES."""
    number = unsigned(value, others, None, settings)
    url = codes.codes.get("NUMBEROFFRAMES") if codes else None
    return [{"url": url, "valueInteger": number}] if url and number is not None else []


_F = MappingFunction
_TEXT_OR_SEQUENCE: Final = ("text", "sequence")
FUNCTIONS: Final = registry(
    _F(text, "string"),
    _F(uid_identifier, "Identifier"),
    _F(accession_identifier, "Identifier", companions=2),
    _F(study_id_identifier, "Identifier"),
    _F(patient_reference, "Reference", companions=4),
    _F(encounter_reference, "Reference", companions=1),
    _F(order_references, "Reference*", (LINKED_ORDER,)),
    _F(request_references, "Reference*", ("sequence",), companions=2, takes_several=True),
    _F(accession_reference, "Reference", companions=2),
    _F(date_time, "dateTime", companions=2),
    _F(unsigned, "unsignedInt"),
    _F(dicom_code, "Coding", table=""),
    _F(modalities, "Coding*", table="of the modalities to list"),
    _F(codeable_concepts, "CodeableConcept*", _TEXT_OR_SEQUENCE, takes_several=True),
    _F(body_site, "Coding", _TEXT_OR_SEQUENCE, table=""),
    _F(laterality, "Coding", _TEXT_OR_SEQUENCE),
    _F(person_display, "Reference", companions=1),
    _F(person_displays, "Reference*", companions=1, takes_several=True),
    _F(display, "Reference"),
    _F(performers, "performer*", companions=1, takes_several=True),
    _F(operators, "performer*", companions=1, takes_several=True),
    _F(device_performer, "performer*", companions=4),
    _F(institution_performer, "performer*", companions=1),
    _F(specimens, "Reference*", _TEXT_OR_SEQUENCE, takes_several=True),
    _F(sop_class, "Coding"),
    _F(frames_extension, "Extension*", table="that has the extension's address at NUMBEROFFRAMES"),
)
"""What `as` may name in `study_to_imagingstudy.yaml`."""
