"""The matching rules of the Modality Worklist, pure (PS3.4 C.2.2.2 as amended for worklists by K.2.2).

An *identifier* is the data set of a C-FIND request, its non-empty elements are the keys; an *item* is one
worklist item: root attributes and a Scheduled Procedure Step Sequence with one item. `matches` says whether
the one asks for the other, `answer` builds the response identifier, `bounds` what a database can select
beforehand.

Not configurable, and to be stated in the conformance statement: names are compared without regard to case and
accents (K.6.1.3.2); Modality and Scheduled Procedure Step Status without regard to case; a lone `*` is
universal for every VR; a key with several values matches if any of them does. A stored value that is empty
matches a universal key only (K.2.2.1.1.1); Query/Retrieve says the opposite, so this module is not for it.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from gateway.errors import InvalidValue
from gateway.records import moments
from gateway.records.answering import NEVER_KEYS, PADDING, STEP_SEQUENCE, answer, attributes, values

__all__ = ["NEVER_KEYS", "SUPPORTED_KEYS", "Prefilter", "answer", "bounds", "matcher", "matches"]

_ROOT_KEYS = frozenset(
    {
        "ScheduledProcedureStepSequence",
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "AccessionNumber",
        "RequestedProcedureID",
        "StudyInstanceUID",
        "AdmissionID",
        "ReferringPhysicianName",
        "InstitutionName",
        "InstitutionalDepartmentName",
    }
)
_STEP_KEYS = frozenset(
    {
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledPerformingPhysicianName",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStatus",
    }
)
SUPPORTED_KEYS = _ROOT_KEYS | _STEP_KEYS
"""Keys that are compared even with an item that lacks the attribute, and then fail. The required ones of
Table K.6-1 and what modalities ask for besides. Any other attribute is compared if the item holds it, ignored
if not."""

_DATE, _TIME = Tag("ScheduledProcedureStepStartDate"), Tag("ScheduledProcedureStepStartTime")
_UPPERCASE = frozenset({"Modality", "ScheduledProcedureStepStatus"})
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})

Predicate = Callable[[Dataset], bool]


def matches(identifier: Dataset, item: Dataset, *, pn_implicit_wildcard: bool = False) -> bool:
    """Whether a worklist item matches. `pn_implicit_wildcard` reads the name key SMITH as SMITH*.

    Raises `InvalidValue` (place: the keyword) for a date or time key that is none.
    """
    return matcher(identifier, pn_implicit_wildcard=pn_implicit_wildcard)(item)


def matcher(identifier: Dataset, *, pn_implicit_wildcard: bool = False) -> Predicate:
    """`matches` for many items: the keys are read, and their faults raised, once."""
    tests = list(_tests(identifier, _ROOT_KEYS, pn_implicit_wildcard))
    return lambda item: all(test(item) for test in tests)


def _tests(keys: Dataset, supported: frozenset[str], loose_names: bool) -> Iterator[Predicate]:
    chosen = {key.tag: key for key in _keys(keys) if not _is_universal(key)}
    if _DATE in chosen and _TIME in chosen:
        yield _start_test(chosen.pop(_DATE), chosen.pop(_TIME))
    for tag, key in chosen.items():
        accepts = _sequence_test(key, loose_names) if key.VR == "SQ" else _value_test(key, loose_names)
        yield _held_test(tag, accepts, key.VR == "SQ", missing=key.keyword not in supported)


def _held_test(tag: BaseTag, accepts: Callable[[DataElement], bool], is_sequence: bool, *, missing: bool) -> Predicate:
    def test(item: Dataset) -> bool:
        stored = item.get(tag)
        if stored is None or (stored.VR == "SQ") != is_sequence:
            return missing
        return accepts(stored)

    return test


def _keys(dataset: Dataset) -> Iterator[DataElement]:
    return (element for element in attributes(dataset) if element.keyword not in NEVER_KEYS)


def _is_universal(key: DataElement) -> bool:
    """PS3.4 C.2.2.2.3; a sequence whose item asks for nothing in particular is universal too (K.2.2.1.2)."""
    if key.VR == "SQ":
        return not key.value or all(_is_universal(inner) for inner in _keys(key.value[0]))
    empty_tail = "^= " if key.VR == "PN" else ""
    return all(value.rstrip(empty_tail) in ("", "*") for value in values(key))


def _value_test(key: DataElement, loose_names: bool) -> Callable[[DataElement], bool]:
    """Single value, wildcard, list of UID or range matching, after the VR of the key."""
    tests = [_one_value_test(key, value, loose_names) for value in values(key) if value]
    return lambda stored: any(test(value) for value in values(stored) if value for test in tests)


def _one_value_test(key: DataElement, value: str, loose_names: bool) -> Callable[[str], bool]:
    if value == "*":
        return lambda stored: True
    if key.VR in moments.VRS:
        span = _span(key, value)
        return lambda stored: moments.moment(key.VR, stored) in span
    if key.VR == "PN":
        return _name_test(value, loose_names)
    if key.keyword in _UPPERCASE:
        value = value.upper()
        return lambda stored: _like(value, stored.upper())
    if key.VR in _WILDCARD_VRS:
        return lambda stored: _like(value, stored)
    if key.VR in ("DS", "IS"):
        return lambda stored: stored == value or _number(stored) == _number(value) is not None
    return lambda stored: stored == value


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _span(key: DataElement, value: str) -> moments.Span:
    try:
        return moments.span(key.VR, value)
    except ValueError as error:
        raise InvalidValue(str(error), place=key.keyword or str(key.tag)) from None


def _start_test(date: DataElement, time: DataElement) -> Predicate:
    """Start date and time: ranges of one form are an interval of instants (Table K.6-1, C.2.2.2.5.4)."""
    days = _span(date, next(filter(None, values(date))))
    hours = _span(time, next(filter(None, values(time))))
    combined = days.is_range and days.form == hours.form
    first = None if days.first is None or hours.first is None else days.first + hours.first
    last = None if days.last is None or hours.last is None else days.last + 1 - moments.DAY + hours.last
    interval = moments.Span(first, last, days.form)

    def test(item: Dataset) -> bool:
        day, hour = _held_moment(item, _DATE, "DA"), _held_moment(item, _TIME, "TM")
        if day is None or hour is None:
            return False
        return day + hour in interval if combined else day in days and hour in hours

    return test


def _held_moment(item: Dataset, tag: BaseTag, vr: str) -> int | None:
    stored = item.get(tag)
    held = [] if stored is None else values(stored)
    return moments.moment(vr, held[0]) if held else None


def _sequence_test(key: DataElement, loose_names: bool) -> Callable[[DataElement], bool]:
    """All keys of the item must match within one stored item (PS3.4 C.2.2.2.6).

    The standard allows one item; where a peer sends more, the first counts.
    """
    supported = _STEP_KEYS if key.tag == STEP_SEQUENCE else frozenset[str]()
    tests = list(_tests(key.value[0], supported, loose_names))
    return lambda stored: any(all(test(item) for test in tests) for item in stored.value or ())


# Text


@lru_cache(maxsize=1024)
def _pattern(key: str) -> re.Pattern[str]:
    """`*` is any run, `?` one character, and there is no escape (PS3.4 C.2.2.2.4)."""
    # Atomic groups: a key of many asterisks must not make the expression backtrack.
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", key))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)


def _like(key: str, stored: str) -> bool:
    return bool(_pattern(key).fullmatch(stored))


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    """Without case and Latin, Greek or Cyrillic accents; kana voicing marks and Hangul stay what they are."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", name) if not "\u0300" <= one <= "\u036f")
    return unicodedata.normalize("NFC", bare.casefold())


def _groups(name: str) -> list[str]:
    """Component groups Alphabetic=Ideographic=Phonetic without trailing empty components (PS3.5 6.2.1)."""
    return ["^".join(part.strip(PADDING) for part in _plain(one).split("^")).rstrip("^") for one in name.split("=")]


def _name_test(key: str, loose: bool) -> Callable[[str], bool]:
    """A key without `=` may match any stored group; with it, group by group, empty ones being universal."""
    wanted = [group + "*" if loose and group and not set("*?") & set(group) else group for group in _groups(key)]

    def accepts(group: str, stored: str) -> bool:
        # SMITH and SMITH^^^^ are the same name, and SMITH^* asks for either.
        return bool(stored) and (_like(group, stored) or _like(group, stored + "^" * (4 - stored.count("^"))))

    def test(stored: str) -> bool:
        have = _groups(stored)
        if "=" not in key:
            return any(accepts(wanted[0], group) for group in have)
        have += [""] * (len(wanted) - len(have))
        return all(accepts(group, there) for group, there in zip(wanted, have, strict=False) if group)

    return test


# What a database may select beforehand


@dataclass(frozen=True)
class Prefilter:
    """Conditions that every matching item fulfils, so selecting by them loses none. None: no condition."""

    patient_id: str | None = None
    accession: str | None = None
    study_uids: tuple[str, ...] | None = None
    modality: str | None = None
    """In upper case."""
    station_ae: str | None = None
    date_from: str | None = None
    """DA, the first day of the step's start."""
    date_to: str | None = None
    """DA, the last day, included."""


def bounds(identifier: Dataset) -> Prefilter:
    """Raises `InvalidValue` for whatever key `matches` would, be there items or not."""
    matcher(identifier)
    step = identifier.get(STEP_SEQUENCE)
    step_keys = step.value[0] if step is not None and step.VR == "SQ" and step.value else Dataset()
    modality = _exact(step_keys, "Modality")
    uids = _listed(identifier, "StudyInstanceUID")
    date_from, date_to = _days(step_keys)
    return Prefilter(
        patient_id=_exact(identifier, "PatientID"),
        accession=_exact(identifier, "AccessionNumber"),
        study_uids=None if not uids or "*" in uids else tuple(uids),
        modality=modality.upper() if modality else None,
        station_ae=_exact(step_keys, "ScheduledStationAETitle"),
        date_from=date_from,
        date_to=date_to,
    )


def _listed(keys: Dataset, keyword: str) -> list[str]:
    return [value for value in values(keys[keyword]) if value] if keyword in keys else []


def _exact(keys: Dataset, keyword: str) -> str | None:
    given = _listed(keys, keyword)
    return given[0] if len(given) == 1 and not set("*?") & set(given[0]) else None


def _days(step_keys: Dataset) -> tuple[str | None, str | None]:
    given = _listed(step_keys, "ScheduledProcedureStepStartDate")
    if len(given) != 1 or given[0] == "*":
        return None, None
    days = moments.span("DA", given[0])
    return _da(days.first), _da(days.last)


def _da(moment: int | None) -> str | None:
    return None if moment is None else f"{datetime.date.fromordinal(moment // moments.DAY):%Y%m%d}".zfill(8)
