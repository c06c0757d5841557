"""The part of a message in which paths are looked up, and what of its fields is found out once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, compress
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from gateway.mapping.orders.settings import Settings

Repetition = list[list[str]]
"""[component][subcomponent], unescaped."""
Value = list[Repetition]
NULL: Final = '""'
MOST_KEYS: Final = 1000
"""Of `Scope.stated_keys` that are kept for other messages: so many as no real message states."""
_STRIP: Final = str.strip


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


class FieldPath(NamedTuple):
    """A path to one field of the first segment of its name."""

    key: str
    """As in `Scope.stated_keys`."""
    segment: str
    number: int
    components: slice


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
        keys = frozenset(chain.from_iterable(stated_of_each))
        self.stated_keys = _the_same(keys) if len(keys) <= MOST_KEYS else keys
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


def stated(text: str) -> str:
    """A leaf without blanks around it. Only a field can be null; a component that says "" is empty."""
    return "" if text == NULL else text.strip()
