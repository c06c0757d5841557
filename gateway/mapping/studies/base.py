"""What the functions of the study mapping share: a site's settings, identifier systems, codes and texts."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.mapping.identifiers import NAMESPACE
from gateway.mapping.language.rows import Codes

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SCT: Final = "http://snomed.info/sct"
V2_0203: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
MAX_UNSIGNED: Final = 2**31 - 1
MAX_UID: Final = 64
"""Characters of a UID in DICOM (PS3.5 9.1), and of an `id` in FHIR."""


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
    study_id_system: str = ""
    """Of Study IDs (0020,0010); '' leaves them out."""
    wado_rs_url: str = ""
    """Public base address of WADO-RS, without `/studies` and trailing slash; '' leaves the Endpoint out."""
    viewer_url: str = ""
    """Address of a viewer, with `{study_uid}` where the Study Instance UID goes."""


LINKED_ORDER: Final = "LinkedOrder"
"""The path of the orders that the gateway has linked to the study."""
Function = Callable[[Any, Sequence[Any], Codes | None, FhirSettings], Any]


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else (None if value == [] else value)


def system_of(authority: str, settings: FhirSettings) -> str:
    """The identifier system of an assigning authority: the site's own URI, else one derived from its name, the same
    everywhere and never another authority's."""
    known = settings.identifier_systems.get(authority)
    return known or f"urn:uuid:{uuid.uuid5(NAMESPACE, 'authority' + chr(31) + authority)}"


def site_system(settings: FhirSettings) -> str:
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, 'site' + chr(31) + settings.site_name)}"


def order_system_of(authority: str, settings: FhirSettings) -> str:
    """The system of order and accession numbers that `authority` gives; never the one of its patients' numbers."""
    known = settings.order_systems.get(authority)
    return known or f"urn:uuid:{uuid.uuid5(NAMESPACE, 'order-authority' + chr(31) + authority)}"


def universal(items: Any) -> str:
    """The URI of a Hierarchic Designator item (PS3.3 10.14), '' if it has no universal id that is one."""
    item = first(items) or {}
    universal, kind = str(item.get("UniversalEntityID") or ""), str(item.get("UniversalEntityIDType") or "ISO").upper()
    shape, prefix = _UNIVERSAL.get(kind, (None, ""))
    return f"{prefix}{universal}" if shape and shape.fullmatch(universal) else ""


_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+", re.ASCII)
_UNIVERSAL: Final = {
    "ISO": (_OID, "urn:oid:"),
    "UUID": (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "urn:uuid:"),
    "URI": (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+"), ""),
}
"""Universal Entity ID Type -> what such an id looks like, and what makes it a URI."""
UNIVERSAL_TYPES: Final = frozenset(_UNIVERSAL)
"""Types whose ids are URIs."""


@lru_cache(maxsize=256)
def oid_uri(uid: str) -> str:
    """The URI of a UID (RFC 3061), '' for what is none (PS3.5 9.1)."""
    return f"urn:oid:{uid}" if len(uid) <= MAX_UID and _OID.fullmatch(uid) else ""


_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")


def plain(written: str) -> str:
    return (written if written.isprintable() else _CONTROLS.sub(" ", written)).strip()


def typed(code: str, display: str, system: str, value: str) -> dict[str, Any]:
    coding = {"system": V2_0203, "code": code, "display": display}
    return {"type": {"coding": [coding]}, "system": system, "value": plain(value)}


_SRT_TO_SCT: Final = {"SRT", "SNM3", "99SDM"}


def coding(item: Mapping[str, Any], settings: FhirSettings) -> dict[str, Any] | None:
    """A code sequence item -> Coding; None when its scheme has no URI."""
    code = str(item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue") or "")
    scheme = str(item.get("CodingSchemeDesignator") or "").upper()
    if scheme in _SRT_TO_SCT:
        from pydicom.sr._snomed_dict import mapping as snomed

        code, scheme = snomed["SRT"].get(code, ""), "SCT"
    system = settings.coding_schemes.get(scheme) or oid_uri(str(item.get("CodingSchemeUID") or ""))
    if not code or not system:
        return None
    result = {"system": system, "code": code}
    if item.get("CodeMeaning"):
        result["display"] = str(item["CodeMeaning"])
    return result
