# Long: the compiler of paths is one function of all forms that a path has.
"""Paths into an HL7 message, such as `PID-3.4.1`, and what reads them.

`SEG-field.component.subcomponent`, 1-based as in the standard. `SEG*` stands for all segments of that name instead of
the first, `-5*` for all repetitions of a field, `.4-6` for components 4 to 6 as one value. `PATIENT/NTE-3` looks into
the segments that follow PID instead of those of the order. `site.x` and `source.x` are settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.clock import dtm_of
from gateway.mapping.orders.scope import NULL, FieldPath, ReadableSegment, Repetition, Scope, Value, stated

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
