"""Codes, issuers and identifiers: HL7 CE, CX, HD to DICOM sequences."""

from __future__ import annotations

import re
from typing import Final

from gateway.mapping.orders.leaves import leaf, leaves
from gateway.mapping.orders.scope import Value
from gateway.mapping.orders.settings import Settings as Settings


def code_sequence(value: Value, _settings: Settings) -> list[dict[str, str]]:
    """CE, CWE: one item with code, scheme and meaning (PS3.3 8.8) for each repetition that has a code. A meaning that
    is missing is the code itself; a scheme that is missing is the local one, 99LOCAL."""
    items = []
    for repetition in value:
        code, meaning, scheme = leaves(repetition, 1, 3)
        if code:
            kind = "CodeValue" if len(code) <= 16 else "LongCodeValue"
            scheme = _SCHEMES.get(scheme.upper(), scheme)
            items.append({kind: code, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning or code})
    return items


_SCHEMES: Final = {"": "99LOCAL", "L": "99LOCAL", "SNM": "SRT"}
"""HL7 table 0396 -> Coding Scheme Designator (PS3.16 ch. 8) where they differ."""

_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_ID_TYPES: Final = {"GUID": "UUID", "X400": "X400", "X500": "X500"} | {
    one: one for one in ("DNS", "EUI64", "ISO", "URI", "UUID")
}
"""HL7 table 0301 -> Universal Entity ID Type (0040,0033), PS3.3 10.14."""

_LIKE: Final = {"ISO": _OID, "UUID": _UUID}


def issuer_sequence(value: Value, _settings: Settings) -> list[dict[str, str]]:
    """EI components 2 to 4, or an HD: one HL7v2 Hierarchic Designator item (PS3.3 10.14), none if empty. A universal
    id whose type is neither sent nor plain to see is left out, for the item requires a type."""
    if not value:
        return []
    item = {}
    local, universal, kind = leaves(value[0], 1, 3)
    if local:
        item["LocalNamespaceEntityID"] = local
    if not universal:
        return [item] if item else []
    kind = _ID_TYPES.get(kind.upper(), "") or next((n for n, like in _LIKE.items() if like.fullmatch(universal)), "")
    if kind:
        item |= {"UniversalEntityID": universal, "UniversalEntityIDType": kind}
    return [item] if item else []


def universal_issuer_sequence(value: Value, settings: Settings) -> list[dict[str, str]]:
    """HD components 2 and 3: the Issuer of Patient ID Qualifiers item (PS3.3 10.15), none without a universal id."""
    items = issuer_sequence(value, settings)
    kept = {key: one for item in items for key, one in item.items() if key.startswith("Universal")}
    return [kept] if kept else []


def other_identifiers(value: Value, _settings: Settings) -> list[dict[str, str]]:
    """CX, from the second repetition on: Patient ID, its issuer, and TEXT for Type of Patient ID."""
    items = []
    for repetition in value[1:]:
        if leaf(repetition, 1):
            item = {"PatientID": leaf(repetition, 1), "TypeOfPatientID": "TEXT"}
            if leaf(repetition, 4):
                item["IssuerOfPatientID"] = leaf(repetition, 4)
            items.append(item)
    return items
