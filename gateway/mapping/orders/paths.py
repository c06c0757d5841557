# Long: the compiler of paths is one function of all forms that a path has.
"""Paths into an HL7 message, such as `PID-3.4.1`, and the part of a message in which they are looked up.

`SEG-field.component.subcomponent`, 1-based as in the standard. `SEG*` stands for all segments of that name instead of
the first, `-5*` for all repetitions of a field, `.4-6` for components 4 to 6 as one value. `PATIENT/NTE-3` looks into
the segments that follow PID instead of those of the order. `site.x` and `source.x` are settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, compress
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

from gateway.clock import dtm_of
from gateway.mapping.orders.settings import Settings as Settings

Repetition = list[list[str]]
"""[component][subcomponent], unescaped."""
Value = list[Repetition]


class ReadableSegment(Protocol):
    """What is asked of a segment; positions are 1-based as in the standard."""

    name: str
    separator: str
    """That of components, where no field of the segment holds more than them: neither repetitions nor subcomponents,
    escapes, line breaks or nulls; else ''."""

    @property
    def fields(self) -> Sequence[str]:
        """The fields as sent, by their number; 0 is the name."""

    def field(self, n: int, /) -> str:
        """Field n as sent, '' when absent."""

    @property
    def has_repetitions(self) -> bool:
        """Whether any field may have more than one repetition."""

    def is_repeated(self, n: int, /) -> bool:
        """Whether field n has more than one repetition."""

    def components(self, n: int, /) -> list[str]:
        """Field n as components, if it is divided no further and free of escapes and line breaks; else []."""

    def repetitions(self, n: int, /) -> Value:
        """Field n, unescaped; [] when absent."""

    def reordered(self, n: int, order: Sequence[int], /) -> ReadableSegment:
        """The segment with these repetitions of field n, from 0, in this order."""

    def leaf(self, n: int, component: int = 1, subcomponent: int = 1, /) -> str:
        """One subcomponent of the first repetition, unescaped; '' when absent."""


class ReadableMessage(Protocol):
    """What is asked of a message."""

    @property
    def type(self) -> str: ...
    @property
    def trigger(self) -> str: ...
    @property
    def segments(self) -> Sequence[ReadableSegment]: ...
    @property
    def sending_application(self) -> str: ...
    @property
    def sending_facility(self) -> str: ...
    @property
    def timestamp(self) -> str: ...


SegmentsByName = Mapping[str, Sequence[ReadableSegment]]


@dataclass(slots=True)
class Scope:
    """The segments that speak of one step: those of its order group, then those of patient and visit."""

    order: SegmentsByName
    patient: SegmentsByName
    settings: Settings
    received_at: int
    """Microseconds since 1970 UTC."""
    first: dict[str, ReadableSegment] = field(init=False, repr=False, compare=False)
    """The first segment of each name."""
    fields: dict[str, Sequence[str]] = field(init=False, repr=False, compare=False)
    """Their fields as sent."""
    stated_keys: frozenset[str] = field(init=False, repr=False, compare=False)
    """`PID` for each of those, and `PID-5` for each of their fields that is not empty: most paths of a mapping find
    nothing, and here learn it from one look."""
    split: dict[str, list[str]] = field(init=False, repr=False, compare=False)
    """The components of those of these fields that have been asked for, if they are divided no further; else []."""
    is_split: bool = field(default=False, init=False, repr=False, compare=False)
    """`split_at_once` has been called."""

    def __post_init__(self) -> None:
        parts = {**self.patient, **self.order}
        self.first = {name: segments[0] for name, segments in parts.items() if segments}
        self.fields = fields = {name: first.fields for name, first in self.first.items()}
        stated_of_each = map(compress, map(_fields_of, fields), fields.values())
        self.stated_keys = _the_same(frozenset(chain.from_iterable(stated_of_each)))
        self.split = {}

    def split_at_once(self, wanted: Iterable[SegmentFields]) -> None:
        """Put the components of these fields, which are not empty, into `split`."""
        if self.is_split:
            return
        self.is_split = True
        for name, keys, numbers, pick in wanted:
            separator = self.first[name].separator
            if separator:
                parts = [list(map(_STRIP, raw.split(separator))) for raw in pick(self.fields[name])]
                self.split.update(zip(keys, parts, strict=True))
            else:
                for key, number in zip(keys, numbers, strict=True):
                    self.components(name, number, key)

    def components(self, name: str, number: int, key: str) -> list[str]:
        """The components of a field that is not empty, kept in `split` from now on; [] if they are divided further, or
        for a null."""
        raw = self.fields[name][number]
        if raw.isalnum():
            # Neither delimiters nor escapes, which are punctuation, nor blanks around it.
            components = [raw]
        elif NULL in raw:
            components = [] if raw == NULL else [stated(one) for one in self.first[name].components(number)]
        else:
            components = list(map(str.strip, self.first[name].components(number)))
        self.split[key] = components
        return components

    def segments(self, name: str, part: str | None) -> Sequence[ReadableSegment]:
        if part is None and name in self.order:
            return self.order[name]
        return self.patient.get(name, ())


@lru_cache(maxsize=1024)
def _the_same(keys: frozenset[str]) -> frozenset[str]:
    """The first set of these keys: what is kept for a set is looked up faster by the very object."""
    return keys


@lru_cache(maxsize=256)
def _fields_of(name: str) -> tuple[str, ...]:
    """`PID`, `PID-1`, `PID-2` and so on, as far as a path may number fields."""
    return name, *(f"{name}-{number}" for number in range(1, 100))


Lookup = Callable[[Scope], "Value | None"]
"""None: an explicit null. []: no value."""

PATH: Final = re.compile(
    r"(?:(?P<part>PATIENT)/)?(?P<segment>[A-Z][A-Z0-9]{2})(?P<all>\*)?"
    r"(?:-(?P<field>[1-9]\d?)(?P<repeat>\*)?(?:\.(?P<first>[1-9]\d?)(?:-(?P<last>[1-9]\d?))?(?:\.(?P<sub>[1-9]\d?))?)?)?",
    re.ASCII,
)
SETTINGS: Final[dict[str, Callable[[Scope], Sequence[str]]]] = {
    "site.patient_id_issuer": lambda scope: (scope.settings.patient_id_issuer,),
    "site.name": lambda scope: (scope.settings.site_name,),
    "source.name": lambda scope: (scope.settings.source_name,),
    "source.station_aes": lambda scope: scope.settings.station_aes,
    "source.received_at": lambda scope: (dtm_of(scope.received_at),),
}
NULL: Final = '""'
_STRIP: Final = str.strip


def check(path: str) -> str | None:
    """What is wrong with `path`, None if nothing."""
    if path in SETTINGS:
        return None
    if path.startswith(("site.", "source.")):
        return f"there is no setting {path!r}; known: {', '.join(SETTINGS)}"
    match = PATH.fullmatch(path)
    if match is None:
        return f"{path!r} is not a path such as OBR-18, PID-3.4.1, OBR-4.1-3, AL1*-3.2 or PATIENT/NTE*-3"
    if match["last"] and int(match["last"]) <= int(match["first"]):
        return f"{path!r}: the range of components runs backwards"
    if match["last"] and match["sub"]:
        return f"{path!r}: a range of components has no subcomponent"
    return None


def is_whole_segment(path: str) -> bool:
    """Does `path` name segments without a field, such as `OBX*`?"""
    return "-" not in path and path not in SETTINGS


def is_there(path: str, scope: Scope) -> bool:
    """Has the message a segment that `path` looks into?"""
    match = PATH.fullmatch(path)
    return match is not None and bool(scope.segments(match["segment"], match["part"]))


def keys_of(paths: Iterable[str]) -> frozenset[str] | None:
    """Keys of `Scope.stated_keys` without which none of the paths has a value. None: a value may come without any."""
    keys = set()
    for path in paths:
        match = PATH.fullmatch(path)
        if match is None or match["part"]:
            return None
        one = not match["all"] and match["field"]
        keys.add(f"{match['segment']}-{match['field']}" if one else match["segment"])
    return frozenset(keys)


def stated(text: str) -> str:
    """A leaf without blanks around it. Only a field can be null; a component that says "" is empty."""
    return "" if text == NULL else text.strip()


def nested(components: Iterable[str]) -> Value:
    """One repetition of undivided components."""
    return [[[one] for one in components]]


@lru_cache(maxsize=1024)
def compile_path(path: str, undivided: Callable[[list[str]], Any] = nested) -> Callable[[Scope], Any]:
    """A `Lookup` of `path`, which must have passed `check`. `undivided`: what is given in place of a value whose
    components are divided no further."""
    if path in SETTINGS:
        setting = SETTINGS[path]
        return lambda scope: [[[text]] for text in setting(scope) if text]
    match = PATH.fullmatch(path)
    assert match is not None, path
    name, part = match["segment"], match["part"]
    everywhere, repeats = bool(match["all"]), bool(match["repeat"])
    if not match["field"]:
        return lambda scope: [_whole(segment) for segment in _some(scope.segments(name, part), everywhere)]
    number, narrow, flat = int(match["field"]), _narrow(match), _narrow_flat(match)

    def look_at_each(scope: Scope) -> Value | None:
        found: Value = []
        for segment in _some(scope.segments(name, part), everywhere):
            raw = segment.field(number)
            if raw == NULL:
                return None
            if raw:
                repetitions = segment.repetitions(number)
                for repetition in repetitions if repeats else repetitions[:1]:
                    value = narrow(repetition)
                    if any(map(any, value)):
                        found.append(value)
        return found

    key = f"{name}-{number}"

    def look(scope: Scope) -> Value | None:
        components = scope.split.get(key)
        if components is None:
            if key not in scope.stated_keys:
                return []
            components = scope.components(name, number, key)
        if not components:
            return look_at_each(scope)
        narrowed = components[flat]
        return undivided(narrowed) if any(narrowed) else []

    return look_at_each if everywhere or part else look


class SegmentFields(NamedTuple):
    """Fields of the first segment of a name."""

    segment: str
    keys: tuple[str, ...]
    """As in `Scope.stated_keys`."""
    numbers: tuple[int, ...]
    pick: Callable[[Sequence[str]], Sequence[str]]
    """These fields among those of the segment."""

    @classmethod
    def of(cls, paths: Iterable[FieldPath]) -> list[SegmentFields]:
        """The fields of the paths, by segment."""
        keys: dict[str, dict[int, str]] = {}
        for path in paths:
            keys.setdefault(path.segment, {})[path.number] = path.key
        return [cls(name, tuple(one.values()), tuple(one), _picking(*one)) for name, one in keys.items()]


def _picking(first: int, *others: int) -> Callable[[Sequence[str]], Sequence[str]]:
    # Of a single number `itemgetter` gives no sequence.
    return itemgetter(first, *others) if others else itemgetter(slice(first, first + 1))


class FieldPath(NamedTuple):
    """A path to one field of the first segment of its name."""

    key: str
    """As in `Scope.stated_keys`."""
    segment: str
    number: int
    components: slice


def field_path(path: str) -> FieldPath | None:
    """The path in its parts; None for one that looks elsewhere, or for a subcomponent that not every field has."""
    match = PATH.fullmatch(path)
    if match is None or not match["field"] or match["all"] or match["part"]:
        return None
    segment, number, components = match["segment"], int(match["field"]), _narrow_flat(match)
    return FieldPath(f"{segment}-{number}", segment, number, components) if components.stop != 0 else None


def compile_leaf(path: str) -> Callable[[Scope], str | None] | None:
    """As `compile_path`, for who wants the first leaf only; None when `path` is of a kind that has several values."""
    match = PATH.fullmatch(path)
    if match is None or not match["field"] or match["all"] or match["repeat"]:
        return None
    whole = compile_path(path)

    def look_at_whole(scope: Scope) -> str | None:
        found = whole(scope)
        return (found[0][0][0] if found else "") if found is not None else None

    name, number, flat = match["segment"], int(match["field"]), _narrow_flat(match)
    key, first = f"{name}-{number}", flat.start

    def look(scope: Scope) -> str | None:
        components = scope.split.get(key)
        if components is None:
            if key not in scope.stated_keys:
                return ""
            components = scope.components(name, number, key)
        if not components:
            return look_at_whole(scope)
        return components[first] if first < len(components) else ""

    return look_at_whole if match["part"] or flat.stop == 0 else look


def _some(segments: Sequence[ReadableSegment], everywhere: bool) -> Sequence[ReadableSegment]:
    return segments if everywhere else segments[:1]


def _whole(segment: ReadableSegment) -> Repetition:
    """A segment as one value: its fields as components, their first components as subcomponents (OBX-3.2 becomes
    component 3, subcomponent 2), for functions that weigh several fields."""
    fields = []
    for number in range(1, 16):
        repetitions = segment.repetitions(number)
        fields.append([stated(component[0]) for component in repetitions[0]] if repetitions else [""])
    return fields


def _narrow(match: re.Match[str]) -> Callable[[Repetition], Repetition]:
    if not match["first"]:
        return lambda repetition: [[stated(leaf) for leaf in component] for component in repetition]
    first = int(match["first"]) - 1
    if match["last"]:
        last = int(match["last"])
        return lambda repetition: [[stated(leaf) for leaf in component] for component in repetition[first:last]]
    if match["sub"]:
        sub = int(match["sub"]) - 1
        return lambda repetition: (
            [[stated(repetition[first][sub])]] if first < len(repetition) and sub < len(repetition[first]) else []
        )
    # A component alone: its subcomponents become components, so that HD and CNN read like fields of their own.
    return lambda repetition: [[stated(leaf)] for leaf in repetition[first]] if first < len(repetition) else []


def _narrow_flat(match: re.Match[str]) -> slice:
    """As `_narrow`, for components that are not divided."""
    if not match["first"]:
        return slice(0, None)
    first = int(match["first"]) - 1
    if match["sub"] and int(match["sub"]) > 1:
        return slice(0, 0)
    return slice(first, int(match["last"] or first + 1))
