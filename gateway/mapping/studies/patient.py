"""The Patient of a study, for an EHR that lets us create the ones it does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from gateway.mapping.studies.base import first, plain
from gateway.records.order import Attributes

PATIENT_KEYWORDS: Final = frozenset({"PatientName", "PatientBirthDate", "PatientSex"})
"""Attributes of a patient beside the identifier."""
_GENDERS: Final = {"M": "male", "F": "female", "O": "other"}
_REPRESENTATION: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_GROUPS: Final = ("ABC", "IDE", "SYL")
"""Component groups of a PN: alphabetic, ideographic, phonetic (PS3.5 6.2.1.1)."""
_BIRTH: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


def patient(attributes: Attributes, identifier: dict[str, Any]) -> dict[str, Any]:
    """The Patient with `identifier`, as DICOM attributes name him; alike in R4 and R5."""
    patient_resource: dict[str, Any] = {"resourceType": "Patient", "identifier": [identifier], "active": True}
    if names := list(_names(plain(str(first(attributes.get("PatientName")) or "")))):
        patient_resource["name"] = names
    patient_resource["gender"] = _GENDERS.get(str(attributes.get("PatientSex") or "").strip().upper(), "unknown")
    if born := _birth_date(str(attributes.get("PatientBirthDate") or "").strip()):
        patient_resource["birthDate"] = born
    return patient_resource


def _birth_date(written: str) -> str:
    """DA -> date, as far as it is known: some systems write zeros for the day, the month or the year; '' for none."""
    match = _BIRTH.fullmatch(written)
    if match is None or match[1] == "0000":
        return ""
    year, month, day = match.groups()
    if month == "00":
        return year
    try:
        known = date(int(year), int(month), int(day) or 1).isoformat()
    except ValueError:
        return year
    return known if day != "00" else known[:7]


def _names(written: str) -> Iterator[dict[str, Any]]:
    for group, code in zip(written.split("="), _GROUPS, strict=False):
        family, given, middle, prefix, suffix = ([*(part.strip() for part in group.split("^")), "", "", "", "", ""])[:5]
        parts = {
            "family": family, "given": f"{given} {middle}".split(), "prefix": prefix.split(), "suffix": suffix.split(),
        }  # fmt: skip
        name: dict[str, Any] = {key: value for key, value in parts.items() if value}
        if not name:
            continue
        if code != "ABC":
            name["extension"] = [{"url": _REPRESENTATION, "valueCode": code}]
        yield {"use": "official", **name}
