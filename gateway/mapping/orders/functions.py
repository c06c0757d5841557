"""The named functions of `order_to_worklist.yaml`: from HL7 data types to DICOM values.

Each takes a `Value` (repetitions of components of subcomponents, unescaped) and the `Settings` of the site, and
returns text, a list of texts, a list of sequence items, or '' for nothing. They raise `InvalidValue` for what their
data type does not allow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache, wraps
from typing import Any, Final

from gateway.errors import InvalidValue
from gateway.mapping.orders.paths import Repetition, Value
from gateway.mapping.orders.paths import Settings as Settings


def leaf(repetition: Repetition, component: int, subcomponent: int = 1) -> str:
    """Component `component` (1-based) of a repetition, '' when it is not there."""
    if component > len(repetition) or subcomponent > len(repetition[component - 1]):
        return ""
    return repetition[component - 1][subcomponent - 1].strip()


def leaves(repetition: Repetition, first: int, count: int) -> list[str]:
    """Components `first` (1-based) to `first + count - 1`, '' for each that is not there."""
    found = [one[0].strip() if one else "" for one in repetition[first - 1 : first - 1 + count]]
    return found if len(found) == count else found + [""] * (count - len(found))


def text(value: Value, _settings: Settings) -> str:
    """The first component of the first repetition."""
    return leaf(value[0], 1) if value else ""


def texts(value: Value, _settings: Settings) -> list[str]:
    """The first component of every repetition."""
    return [one for repetition in value if (one := leaf(repetition, 1))]


def lines(value: Value, _settings: Settings) -> str:
    """Every repetition on a line of its own: comments, notes."""
    return "\r\n".join(one for repetition in value if (one := leaf(repetition, 1)))


def text_or_code(value: Value, _settings: Settings) -> str:
    """CE, CWE: the text (component 2), else the identifier (component 1)."""
    return (leaf(value[0], 2) or leaf(value[0], 1)) if value else ""


def texts_or_codes(value: Value, settings: Settings) -> list[str]:
    """CE, CWE of every repetition: the text, else the identifier."""
    return [one for repetition in value if (one := text_or_code([repetition], settings))]


_PN_UNSAFE: Final = re.compile(r"[\^=\\]+")


def _component_group(family: str, given: str, middle: str, prefix: str, suffix: str) -> str:
    parts = (family, given, middle, prefix, suffix)
    group = "^".join(parts)
    if "=" in group or "\\" in group or group.count("^") >= len(parts):
        group = "^".join([_PN_UNSAFE.sub(" ", part).strip() for part in parts])
    return group.rstrip("^")


def _family(component: list[str]) -> str:
    """FN: the surname, with its own prefix ("van") in front unless it is there already (HL7 2.5.1, 2.A.30)."""
    surname = component[0].strip() if component else ""
    prefix = component[1].strip() if len(component) > 1 else ""
    if not prefix:
        return surname
    there = surname.lower().startswith(prefix.lower() + ("" if prefix.endswith("'") else " "))
    return surname if there else f"{prefix} {surname}".strip()


def _extended_name(repetition: Repetition, first: int) -> str:
    """XPN from component `first` on. HL7 gives suffix before prefix, DICOM prefix before suffix (PS3.5 6.2.1.1)."""
    family = _family(repetition[first - 1]) if len(repetition) >= first else ""
    given, middle, suffix, prefix, degree = leaves(repetition, first + 1, 5)
    return _component_group(family, given, middle, prefix, f"{suffix} {degree}".strip())


_GROUPS: Final = {"I": 1, "P": 2}
"""XPN.8 (table 0465) -> component group of a PN (PS3.5 6.2.1), from 0; all else is the alphabetic group."""


def person_name(value: Value, _settings: Settings) -> str:
    """XPN: the legal name (type L), else the display name (D), else the first; the same name in ideographic (I) and
    phonetic (P) writing as second and third component group."""
    if len(value) == 1 and leaf(value[0], 8) not in _GROUPS:
        return _extended_name(value[0], 1)
    ranked = sorted(value, key=lambda one: {"L": 0, "D": 1, "": 2}.get(leaf(one, 7), 3))
    alphabetic = next((one for one in ranked if leaf(one, 8) not in _GROUPS), None)
    kind = leaf(alphabetic or ranked[0], 7) if ranked else ""
    groups = [_extended_name(alphabetic, 1) if alphabetic else "", "", ""]
    for repetition in ranked:
        number = _GROUPS.get(leaf(repetition, 8))
        if number and not groups[number] and leaf(repetition, 7) == kind:
            groups[number] = _extended_name(repetition, 1)
    return "=".join(groups).rstrip("=")


def provider_name(value: Value, _settings: Settings) -> str:
    """XCN: the name in components 2 to 7; an id without a name gives nothing."""
    return _extended_name(value[0], 2) if value else ""


def provider_names(value: Value, settings: Settings) -> list[str]:
    """XCN of every repetition."""
    return [name for repetition in value if (name := provider_name([repetition], settings))]


def technician_name(value: Value, settings: Settings) -> str:
    """NDL: the name sits in the subcomponents of component 1; senders that use components are understood too."""
    if not value:
        return ""
    first = value[0][0] if value[0] else []
    as_components: Repetition = [[part] for part in first] if len(first) > 1 else value[0]
    return provider_name([as_components], settings)


_DASHES: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_DTM: Final = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:[T ]?(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.?(\d{1,6})\d*)?|\.\d+|\d)?)?)?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
"""DTM (HL7 2.5.1 ch. 2.A.22) and what is seen instead of it: separators of ISO 8601, a fraction without its point, half
a second."""
_OFFSET: Final = re.compile(r"(Z|[+-]\d{2}:?\d{2})\s*", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
DAY, HOUR = 8, 10
"""Significant digits of a DTM that names a day, an hour."""


# Enough for the rows of one message; a larger cache costs more than it saves, for times are seldom met again.
@lru_cache(maxsize=128)
def parse_dtm(written: str, zone: tzinfo) -> tuple[datetime, int]:
    """(aware time, number of digits that were significant: 4, 6, 8, 10, 12 or 14) of an HL7 DTM.

    A time without offset is meant in `zone`; 24:00 is the next day's midnight; a leap second is the one before it.
    Raises `InvalidValue`.
    """
    if len(written) in (8, 12, 14) and written.isascii() and written.isdigit():
        try:
            moment = datetime.fromisoformat(f"{written[:8]}T{written[8:] or '00'}")
            if MINYEAR < moment.year < MAXYEAR:
                return datetime.combine(moment, moment.time(), zone), len(written)
        except ValueError:
            pass  # What is unusual is left to the thorough reading below.
    match = _DTM.fullmatch(_DASHES.sub(r"\1\2\3", written.strip(), count=1))
    if match is None:
        raise InvalidValue(f"{written!r} is not a date and time (YYYYMMDD[HHMM[SS]][+ZZZZ])")
    parts = match.group(1, 2, 3, 4, 5, 6)
    digits = 2 + 2 * sum(part is not None for part in parts)
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    over = (hour, minute, second) == (24, 0, 0)
    try:
        moment = datetime(
            year, month or (digits < 6), day or (digits < DAY), 0 if over else hour, minute,
            59 if second == 60 else second, int((match[7] or "").ljust(6, "0")), tzinfo=_offset(match[8]) or zone,
        )  # fmt: skip
        moment = moment + timedelta(days=1) if over else moment
        # The zone's edges too must be within the calendar.
        moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidValue(f"{written!r} is not a date and time: {error}") from error
    return moment, digits


def offset_of(written: str) -> tzinfo | None:
    """The offset at the end of a DTM, None if it has none or no legal one."""
    if written.isdigit():
        return None
    match = _OFFSET.search(written)
    try:
        return _offset(match[1]) if match and match.end() == len(written) else None
    except ValueError:
        return None


def _offset(written: str | None) -> timezone | None:
    if not written:
        return None
    if written == "Z":
        return UTC
    minutes = int(written[-2:])
    if minutes > 59:
        raise ValueError("an offset has at most 59 minutes")
    return timezone((-1 if written[0] == "-" else 1) * timedelta(hours=int(written[1:3]), minutes=minutes))


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=128)
def _local(written: str, zone: tzinfo, site: tzinfo) -> tuple[str, str]:
    """DTM -> DA and TM in the site's zone, '' for what it does not tell; `zone` as for `parse_dtm`."""
    moment, digits = parse_dtm(written, zone)
    if digits < HOUR:
        # A day alone is the same day everywhere.
        return _da(moment) if digits >= DAY else "", ""
    try:
        moment = moment if moment.tzinfo is site else moment.astimezone(site)
    except OverflowError as error:
        raise InvalidValue(f"a date and time outside the calendar: {error}") from error
    return _da(moment), f"{moment.hour:02}{moment.minute:02}{moment.second:02}"


def _da(moment: datetime) -> str:
    return f"{moment.year:04}{moment.month:02}{moment.day:02}"


def date(written: str, settings: Settings) -> str:
    """DTM -> DA in the site's zone. A month or year alone has no DA and is refused."""
    day, _ = _local(written, settings.message_zone or settings.zone, settings.zone)
    if not day:
        raise InvalidValue(f"{written!r} names no day")
    return day


def birth_date(written: str, settings: Settings) -> str:
    """DTM -> DA as written, without any zone; a year or month alone gives nothing, because DA cannot say it."""
    moment, digits = parse_dtm(written, settings.message_zone or settings.zone)
    return _da(moment) if digits >= DAY else ""


def time(written: str, settings: Settings) -> str:
    """DTM -> TM in the site's zone; nothing when only a date is given."""
    return _local(written, settings.message_zone or settings.zone, settings.zone)[1]


def start_time(written: str, settings: Settings) -> str:
    """As `time`, but a date alone means its midnight: date and time of a step must come from one field."""
    return time(written, settings) or "000000"


OF_LEAF: Final[dict[str, Callable[[str, Settings], str]]] = {
    function.__name__: function for function in (date, birth_date, time, start_time)
}
"""What some functions make of the first leaf of a value, the only one they ask for; it is not empty."""


def _of_value(function: Callable[[str, Settings], str]) -> Callable[[Value, Settings], str]:
    @wraps(function)
    def of_value(value: Value, settings: Settings) -> str:
        written = text(value, settings)
        return function(written, settings) if written else ""

    return of_value


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
    id whose type is neither told nor plain to see is left out, for the item must tell it."""
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


_KILOGRAMS: Final = {"KG": 1.0, "G": 0.001, "LB": 0.45359237, "LBS": 0.45359237, "OZ": 0.028349523125}
_METRES: Final = {"M": 1.0, "CM": 0.01, "IN": 0.0254, "FT": 0.3048}


def _measure(value: Value, name: str, units: dict[str, float]) -> str:
    for observation in value:
        # OBX-3 identifier or text, OBX-5 value, OBX-6 units.
        if name not in (leaf(observation, 3, 1).upper(), leaf(observation, 3, 2).upper()):
            continue
        factor = units.get(leaf(observation, 6).upper())
        try:
            measured = float(leaf(observation, 5)) * (factor or 0)
        except ValueError:
            continue
        if measured > 0 and math.isfinite(measured):
            return f"{measured:.4g}"
    return ""


def weight(value: Value, _settings: Settings) -> str:
    """The observation "Body Weight" in kilograms; other units are converted, unknown ones give nothing."""
    return _measure(value, "BODY WEIGHT", _KILOGRAMS)


def height(value: Value, _settings: Settings) -> str:
    """The observation "Body Height" in metres."""
    return _measure(value, "BODY HEIGHT", _METRES)


def address(value: Value, _settings: Settings) -> str:
    """XAD: street, other, city, state, postcode, country on one line."""
    if not value:
        return ""
    return ", ".join(filter(None, leaves(value[0], 1, 6)))


def location(value: Value, _settings: Settings) -> str:
    """PL: point of care, room, bed, facility."""
    return " ".join(filter(None, leaves(value[0], 1, 4))) if value else ""


FUNCTIONS: Final[dict[str, Callable[[Value, Settings], Any]]] = {
    function.__name__: function
    for function in (
        text, texts, lines, text_or_code, texts_or_codes, person_name, provider_name, provider_names, technician_name,
        *map(_of_value, OF_LEAF.values()), code_sequence, issuer_sequence,
        universal_issuer_sequence, other_identifiers, weight, height, address, location,
    )
}  # fmt: skip

RETURNS: Final = {
    "date": "DA", "birth_date": "DA", "time": "TM", "start_time": "TM", "code_sequence": "SQ",
    "issuer_sequence": "SQ", "universal_issuer_sequence": "SQ", "other_identifiers": "SQ",
}  # fmt: skip
"""The VR that a function gives; what is not here gives text, fit for every VR but these."""
LISTS: Final = frozenset({"texts", "texts_or_codes", "provider_names"})
"""Functions that give a list of texts."""
WHOLE_SEGMENT: Final = frozenset({"weight", "height"})
"""Functions that take segments as a whole, `OBX*`."""
