"""The matching rules of the Modality Worklist, pure (PS3.4 C.2.2.2 as amended for worklists by K.2.2).

An *identifier* is the data set of a C-FIND request, its non-empty elements are the keys; an *item* is one
worklist item: root attributes and a Scheduled Procedure Step Sequence with one item. `matcher` says whether
the one asks for the other, `bounds` what a database can select beforehand.

Not configurable, and to be stated in the conformance statement: names are compared without regard to case and
accents (K.6.1.3.2); Modality and Scheduled Procedure Step Status without regard to case; a lone `*` is
universal for every VR; a key with several values matches if any of them does. A stored value that is empty
matches a universal key only (K.2.2.1.1.1); Query/Retrieve says the opposite, so this module is not for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gateway.errors import InvalidValue
from gateway.worklist import moments
from gateway.worklist.answering import NEVER_KEYS, STEP_SEQUENCE
from gateway.worklist.items import WILDCARD_VRS, Element, Item, Stored
from gateway.worklist.names import AS_WRITTEN, NameMatching, fuzzy_test, like, name_test

_ROOT_KEYS = frozenset(
    {
        "ScheduledProcedureStepSequence",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
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

ISSUER = 0x00100021
START_DATE, START_TIME, MODALITY, STATION_AE = 0x00400002, 0x00400003, 0x00080060, 0x00400001
STUDY_DATE, STUDY_TIME = 0x00080020, 0x00080030
_MOMENTS = ((START_DATE, START_TIME), (STUDY_DATE, STUDY_TIME))
"""Dates and times that are matched together, as one moment."""

PATIENT_ID, PATIENT_NAME, ACCESSION, STUDY_UID = 0x00100020, 0x00100010, 0x00080050, 0x0020000D

_UPPERCASE = frozenset({"Modality", "ScheduledProcedureStepStatus"})

Predicate = Callable[[Item], bool]


def matcher(identifier: Item, names: NameMatching = AS_WRITTEN, supported: frozenset[str] = _ROOT_KEYS) -> Predicate:
    """Whether a worklist item matches. `supported`: keywords of keys that an item without the attribute fails.

    Raises `InvalidValue` (place: the keyword) for a date or time key that is none.
    """
    tests = list(_tests(identifier, supported, names))
    return lambda item: all(test(item) for test in tests)


def under_each_identity(item: Stored, former: Sequence[Sequence[str]]) -> tuple[Stored, ...]:
    """The item, then the item under each identity [Patient ID, issuer] that was merged into its patient or renamed.

    A scanner that asks by the wristband of yesterday finds the steps of the patient who has survived (IHE RAD-12).
    """
    return item, *(
        Stored({**item.attributes, "PatientID": patient_id, "IssuerOfPatientID": issuer})
        for patient_id, issuer in former
    )


def _tests(keys: Item, supported: frozenset[str], names: NameMatching) -> Iterator[Predicate]:
    chosen = {key.tag: key for key in _keys(keys) if not is_universal(key)}
    for date, time in _MOMENTS:
        if date in chosen and time in chosen:
            yield _moment_test(chosen.pop(date), chosen.pop(time))
    for tag, key in chosen.items():
        accepts = _sequence_test(key, names) if key.vr == "SQ" else _value_test(key, names)
        yield _held_test(tag, accepts, key.vr == "SQ", missing=key.keyword not in supported)


def _held_test(tag: int, accepts: Callable[[Element], bool], is_sequence: bool, *, missing: bool) -> Predicate:
    def test(item: Item) -> bool:
        stored = item.get(tag)
        if stored is None or (stored.vr == "SQ") != is_sequence:
            return missing
        return accepts(stored)

    return test


def _keys(identifier: Item) -> Iterator[Element]:
    return (element for tag, element in identifier.items() if tag not in NEVER_KEYS)


def is_universal(key: Element) -> bool:
    """Whether a key matches every item (PS3.4 C.2.2.2.3); so does a sequence whose item asks for nothing in particular
    (K.2.2.1.2)."""
    if key.vr == "SQ":
        return not key.items or all(is_universal(inner) for inner in _keys(key.items[0]))
    if not any(key.values):
        return True
    empty_tail = "^= " if key.vr == "PN" else ""
    return all(value.rstrip(empty_tail) in ("", "*") for value in key.values)


def _value_test(key: Element, names: NameMatching) -> Callable[[Element], bool]:
    """Single value, wildcard, list of UID or range matching, after the VR of the key."""
    tests = [_one_value_test(key, value, names) for value in key.values if value]
    return lambda stored: any(test(value) for value in stored.values if value for test in tests)


def _one_value_test(key: Element, value: str, names: NameMatching) -> Callable[[str], bool]:
    if value == "*":
        return lambda stored: True
    if key.vr in moments.VRS:
        span = _span(key, value)
        return lambda stored: moments.moment(key.vr, stored) in span
    if key.vr == "PN":
        return fuzzy_test(value, names) if names.fuzzy else name_test(value, names.pn_implicit_wildcard)
    if key.keyword in _UPPERCASE:
        value = value.upper()
        return lambda stored: like(value, stored.upper())
    if key.vr in WILDCARD_VRS:
        return lambda stored: like(value, stored)
    if key.vr in ("DS", "IS"):
        return lambda stored: stored == value or _number(stored) == _number(value) is not None
    return lambda stored: stored == value


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _span(key: Element, value: str) -> moments.Span:
    try:
        return moments.span(key.vr, value)
    except ValueError as error:
        raise InvalidValue(str(error), place=key.keyword or str(key.tag)) from None


def _moment_test(date: Element, time: Element) -> Predicate:
    """Date and time: ranges of one form are an interval of instants (Table K.6-1, C.2.2.2.5.4)."""
    days = _span(date, next(filter(None, date.values)))
    hours = _span(time, next(filter(None, time.values)))
    combined = days.is_range and days.form == hours.form
    first = None if days.first is None or hours.first is None else days.first + hours.first
    last = None if days.last is None or hours.last is None else days.last + 1 - moments.DAY + hours.last
    interval = moments.Span(first, last, days.form)

    def test(item: Item) -> bool:
        day, hour = _held_moment(item, date.tag, "DA"), _held_moment(item, time.tag, "TM")
        if day is None or hour is None:
            return False
        return day + hour in interval if combined else day in days and hour in hours

    return test


def _held_moment(item: Item, tag: int, vr: str) -> int | None:
    stored = item.get(tag)
    held = [] if stored is None else stored.values
    return moments.moment(vr, held[0]) if held else None


def _sequence_test(key: Element, names: NameMatching) -> Callable[[Element], bool]:
    """All keys of the item must match within one stored item (PS3.4 C.2.2.2.6).

    The standard allows one item; where a peer sends more, the first counts.
    """
    supported = _STEP_KEYS if key.tag == STEP_SEQUENCE else frozenset[str]()
    tests = list(_tests(key.items[0], supported, names))
    return lambda stored: any(all(test(item) for test in tests) for item in stored.items)
