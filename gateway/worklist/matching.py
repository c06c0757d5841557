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

import datetime
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.errors import InvalidValue
from gateway.worklist import moments
from gateway.worklist.answering import NEVER_KEYS, STEP_SEQUENCE
from gateway.worklist.items import PADDING, Element, Item

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

START_DATE, START_TIME, _MODALITY, _STATION_AE = 0x00400002, 0x00400003, 0x00080060, 0x00400001
_PATIENT_ID, _PATIENT_NAME, _ACCESSION, _STUDY_UID = 0x00100020, 0x00100010, 0x00080050, 0x0020000D
_UPPERCASE = frozenset({"Modality", "ScheduledProcedureStepStatus"})
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})

Predicate = Callable[[Item], bool]


class Names(NamedTuple):
    """How person names are compared."""

    pn_implicit_wildcard: bool = False
    """The name key SMITH is read as SMITH*."""
    fuzzy: bool = False
    """Words in any order, beginnings of words, and words with a slip of the pen match too (PS3.4 C.2.2.2.1.1)."""


AS_WRITTEN: Final = Names()


def matcher(identifier: Item, names: Names = AS_WRITTEN) -> Predicate:
    """Whether a worklist item matches.

    Raises `InvalidValue` (place: the keyword) for a date or time key that is none.
    """
    tests = list(_tests(identifier, _ROOT_KEYS, names))
    return lambda item: all(test(item) for test in tests)


def _tests(keys: Item, supported: frozenset[str], names: Names) -> Iterator[Predicate]:
    chosen = {key.tag: key for key in _keys(keys) if not _is_universal(key)}
    if START_DATE in chosen and START_TIME in chosen:
        yield _start_test(chosen.pop(START_DATE), chosen.pop(START_TIME))
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


def _is_universal(key: Element) -> bool:
    """PS3.4 C.2.2.2.3; a sequence whose item asks for nothing in particular is universal too (K.2.2.1.2)."""
    if key.vr == "SQ":
        return not key.items or all(_is_universal(inner) for inner in _keys(key.items[0]))
    empty_tail = "^= " if key.vr == "PN" else ""
    return all(value.rstrip(empty_tail) in ("", "*") for value in key.values)


def _value_test(key: Element, names: Names) -> Callable[[Element], bool]:
    """Single value, wildcard, list of UID or range matching, after the VR of the key."""
    tests = [_one_value_test(key, value, names) for value in key.values if value]
    return lambda stored: any(test(value) for value in stored.values if value for test in tests)


def _one_value_test(key: Element, value: str, names: Names) -> Callable[[str], bool]:
    if value == "*":
        return lambda stored: True
    if key.vr in moments.VRS:
        span = _span(key, value)
        return lambda stored: moments.moment(key.vr, stored) in span
    if key.vr == "PN":
        return _fuzzy_test(value, names) if names.fuzzy else _name_test(value, names.pn_implicit_wildcard)
    if key.keyword in _UPPERCASE:
        value = value.upper()
        return lambda stored: like(value, stored.upper())
    if key.vr in _WILDCARD_VRS:
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


def _start_test(date: Element, time: Element) -> Predicate:
    """Start date and time: ranges of one form are an interval of instants (Table K.6-1, C.2.2.2.5.4)."""
    days = _span(date, next(filter(None, date.values)))
    hours = _span(time, next(filter(None, time.values)))
    combined = days.is_range and days.form == hours.form
    first = None if days.first is None or hours.first is None else days.first + hours.first
    last = None if days.last is None or hours.last is None else days.last + 1 - moments.DAY + hours.last
    interval = moments.Span(first, last, days.form)

    def test(item: Item) -> bool:
        day, hour = _held_moment(item, START_DATE, "DA"), _held_moment(item, START_TIME, "TM")
        if day is None or hour is None:
            return False
        return day + hour in interval if combined else day in days and hour in hours

    return test


def _held_moment(item: Item, tag: int, vr: str) -> int | None:
    stored = item.get(tag)
    held = [] if stored is None else stored.values
    return moments.moment(vr, held[0]) if held else None


def _sequence_test(key: Element, names: Names) -> Callable[[Element], bool]:
    """All keys of the item must match within one stored item (PS3.4 C.2.2.2.6).

    The standard allows one item; where a peer sends more, the first counts.
    """
    supported = _STEP_KEYS if key.tag == STEP_SEQUENCE else frozenset[str]()
    tests = list(_tests(key.items[0], supported, names))
    return lambda stored: any(all(test(item) for test in tests) for item in stored.items)


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


def like(key: str, stored: str) -> bool:
    """Wildcard matching of whole values, with regard to case."""
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
        return bool(stored) and (like(group, stored) or like(group, stored + "^" * (4 - stored.count("^"))))

    def test(stored: str) -> bool:
        have = _groups(stored)
        if "=" not in key:
            return any(accepts(wanted[0], group) for group in have)
        have += [""] * (len(wanted) - len(have))
        return all(accepts(group, there) for group, there in zip(wanted, have, strict=False) if group)

    return test


def _fuzzy_test(key: str, names: Names) -> Callable[[str], bool]:
    strict = _name_test(key, names.pn_implicit_wildcard)
    wanted = [word for word in _words(key) if not set("*?") & set(word)]

    def test(stored: str) -> bool:
        return strict(stored) or (bool(wanted) and _sounds_like(wanted, _words(stored)))

    return test


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s^=,.'-]+", _plain(name)) if word]


def _sounds_like(wanted: Sequence[str], there: Sequence[str]) -> bool:
    return all(any(_is_near(word, other) for other in there) for word in wanted)


@lru_cache(maxsize=8192)
def _is_near(word: str, other: str) -> bool:
    """The same, its beginning, or one slip away in four letters, two in eight."""
    slips = min(len(word) // 4, 2)
    return word == other or (len(word) >= 3 and other.startswith(word)) or (0 < _slips(word, other, slips) <= slips)


def _slips(word: str, other: str, most: int) -> int:
    """Letters to add, leave out, change, or swap with their neighbour (optimal string alignment); 0 or above `most`
    when they are too far apart to be counted."""
    if not most or abs(len(word) - len(other)) > most:
        return 0
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and word[i - 2] == b:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


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
    name_prefix: str | None = None
    """Of `name_key`."""
    date_from: str | None = None
    """DA, the first day of the step's start."""
    date_to: str | None = None
    """DA, the last day, included."""

    @property
    def finds_few(self) -> bool:
        """Whether it names one order, study or patient, or begins a name long enough: there are never very many steps
        of those."""
        named = self.name_prefix is not None and len(self.name_prefix) >= _LONG_PREFIX
        return named or any(one is not None for one in (self.accession, self.patient_id, self.study_uids))


_LONG_PREFIX: Final = 5


def bounds(identifier: Item) -> Prefilter:
    """Raises `InvalidValue` for whatever key `matcher` would, be there items or not."""
    matcher(identifier)
    step = identifier.get(STEP_SEQUENCE)
    step_keys: Item = step.items[0] if step is not None and step.items else {}
    modality = _exact(step_keys, _MODALITY)
    uids = _listed(identifier, _STUDY_UID)
    date_from, date_to = _days(step_keys)
    return Prefilter(
        patient_id=_exact(identifier, _PATIENT_ID),
        accession=_exact(identifier, _ACCESSION),
        study_uids=None if not uids or "*" in uids else tuple(uids),
        modality=modality.upper() if modality else None,
        station_ae=_exact(step_keys, _STATION_AE),
        name_prefix=_name_prefix(_listed(identifier, _PATIENT_NAME)),
        date_from=date_from,
        date_to=date_to,
    )


def name_key(name: str) -> str:
    """A stored name as `Prefilter.name_prefix` begins it; empty where a key might mean a component group that is not
    the first."""
    first, *others = _groups(name)
    return "" if any(group[:1].isascii() for group in others if group) else first


def _name_prefix(keys: Sequence[str]) -> str | None:
    if len(keys) != 1 or "=" in keys[0]:
        return None
    prefix = re.split(r"[*?]", _groups(keys[0])[0])[0].rstrip("^ ")
    return prefix if prefix.isascii() and prefix else None


def _listed(keys: Item, tag: int) -> list[str]:
    return [value for value in keys[tag].values if value] if tag in keys else []


def _exact(keys: Item, tag: int) -> str | None:
    given = _listed(keys, tag)
    return given[0] if len(given) == 1 and not set("*?") & set(given[0]) else None


def _days(step_keys: Item) -> tuple[str | None, str | None]:
    given = _listed(step_keys, START_DATE)
    if len(given) != 1 or given[0] == "*":
        return None, None
    days = moments.span("DA", given[0])
    return _da(days.first), _da(days.last)


def _da(moment: int | None) -> str | None:
    return None if moment is None else f"{datetime.date.fromordinal(moment // moments.DAY):%Y%m%d}".zfill(8)
