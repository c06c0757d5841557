"""A segment of an HL7 v2 message: fields, repetitions, components, subcomponents (HL7 2.5.1 ch. 2.5)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Malformed, Place
from gateway.wire.hl7.escapes import Delimiters, unescape

HEADERS = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose field 1 is the field separator and field 2 the encoding characters."""
LONG_TEXT = 4096
"""The parts of a longer text are counted before it is split."""
_NULL = '""'
MAX_REPETITIONS = 1_000
MAX_PARTS = 20_000
"""Components and subcomponents of a field, in all its repetitions."""


class Segment:
    """One segment. Positions are 1-based as in the standard; what is absent reads as empty."""

    __slots__ = (
        "_codec",
        "_delimiters",
        "_end",
        "_fields",
        "_plain",
        "_text",
        "name",
        "occurrence",
        "position",
        "separator",
    )

    def __init__(
        self,
        text: str,
        end: str,
        occurrence: int,
        position: int,
        delimiters: Delimiters,
        codec: str,
        flat: bool | None = None,
    ) -> None:
        """flat: `is_flat(text, delimiters)`, if that is known."""
        self.name = text[:3]
        self.occurrence = occurrence
        """Which one among the segments of this name in the message, from 1 (ERR-2.2)."""
        self.position = position
        """Place in the message, from 0."""
        self._text = text
        self._end = end
        self._delimiters = delimiters
        self._codec = codec
        self._fields: list[str] | None = None
        if is_flat(text, delimiters) if flat is None else flat:
            self._plain, self.separator = True, delimiters.component
            return
        escape = delimiters.escape
        self._plain = not ((escape and escape in text) or "\r" in text or "\n" in text)
        self.separator = ""
        """That of components, where no field holds more than them (`is_flat`)."""

    @property
    def text(self) -> str:
        """As sent, without its terminator."""
        return self._text

    def __repr__(self) -> str:
        return f"<Segment {self.name} {self.occurrence}>"

    @property
    def fields(self) -> Sequence[str]:
        """The fields as sent, still encoded, by their number; 0 is the name. MSH-1 and MSH-2 are the delimiters."""
        fields = self._fields
        if fields is None:
            fields = self._fields = self._text.split(self._delimiters.field)
            if self.name in HEADERS:
                fields.insert(1, self._delimiters.field)
        return fields

    def field(self, n: int) -> str:
        """Field n as sent, still encoded; "" when absent."""
        fields = self._fields or self.fields
        return fields[n] if n < len(fields) else ""

    @property
    def has_repetitions(self) -> bool:
        """Whether any field may have more than one repetition."""
        separator = self._delimiters.repetition
        return bool(separator) and separator in self._text

    def is_repeated(self, n: int) -> bool:
        """Whether field n has more than one repetition."""
        return self.has_repetitions and self._delimiters.repetition in self.field(n)

    def components(self, n: int) -> list[str]:
        """Field n as components, if it is divided no further and free of escapes and line breaks; else []."""
        fields = self._fields or self.fields
        raw = fields[n] if n < len(fields) else ""
        if len(raw) > LONG_TEXT:
            self._check_parts(n, raw)
        delimiters = self._delimiters
        # A delimiter that this sender lacks is "", which is in every text.
        if not self._plain or not raw or delimiters.repetition in raw or delimiters.subcomponent in raw:
            return []
        return raw.split(delimiters.component)

    def repetitions(self, n: int) -> list[list[list[str]]]:
        """Field n as [repetition][component][subcomponent], unescaped; [] when absent or empty.

        A null stays the two characters `""` (HL7 2.5.1 ch. 2.5.3). Raises `Malformed` for too many.
        """
        raw = self.field(n)
        if not raw:
            return []
        if len(raw) > LONG_TEXT:
            self._check_parts(n, raw)
        if n <= 2 and self.name in HEADERS:
            return [[[raw]]]
        delimiters = self._delimiters
        split = [
            [
                split_text(component, delimiters.subcomponent)
                for component in split_text(repetition, delimiters.component)
            ]
            for repetition in split_text(raw, delimiters.repetition)
        ]
        if self._plain:
            return split
        value = self._value
        return [[[value(leaf) for leaf in component] for component in repetition] for repetition in split]

    def _check_parts(self, n: int, raw: str) -> None:
        """Raises `Malformed` where a long field n has more parts than are read."""
        delimiters = self._delimiters
        place = Place(self.name, n, sequence=self.occurrence)
        if delimiters.repetition and raw.count(delimiters.repetition) >= MAX_REPETITIONS:
            raise Malformed(f"more than {MAX_REPETITIONS} repetitions; send fewer", place=place)
        inner = (delimiters.component, delimiters.subcomponent)
        if sum(raw.count(one) for one in inner if one) >= MAX_PARTS:
            raise Malformed(f"more than {MAX_PARTS} components; escape what is text", place=place)

    def reordered(self, n: int, order: Sequence[int]) -> Segment:
        """The segment with these repetitions of field n (not of a header), from 0, in this order."""
        fields = list(self.fields)
        repetitions = split_text(fields[n], self._delimiters.repetition)
        fields[n] = self._delimiters.repetition.join([repetitions[number] for number in order])
        text = self._delimiters.field.join(fields)
        return Segment(text, self._end, self.occurrence, self.position, self._delimiters, self._codec)

    def leaf(self, n: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """One subcomponent, unescaped; "" when absent. An undivided component is its subcomponent 1."""
        fields = self._fields or self.fields
        raw = fields[n] if n < len(fields) else ""
        if not raw:
            return ""
        if component == subcomponent == repetition == 1 and raw.isalnum():
            # Neither delimiters nor escapes, which are punctuation.
            return raw
        if self.separator and subcomponent == repetition == 1:
            parts = raw.split(self.separator, component)
            return parts[component - 1] if component <= len(parts) else ""
        if n <= 2 and self.name in HEADERS:
            return raw if component == subcomponent == repetition == 1 else ""
        delimiters = self._delimiters
        if repetition != 1 or delimiters.repetition in raw:
            raw = part_of(raw, delimiters.repetition, repetition)
        if component != 1 or delimiters.component in raw:
            raw = part_of(raw, delimiters.component, component)
        if subcomponent != 1 or delimiters.subcomponent in raw:
            raw = part_of(raw, delimiters.subcomponent, subcomponent)
        return raw if self._plain or raw.isalnum() else self._value(raw)

    def _value(self, raw: str) -> str:
        """A leaf of a segment that holds escapes or line breaks."""
        if "\r" in raw or "\n" in raw:
            raw = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        return unescape(raw, self._delimiters, self._codec)


def is_flat(text: str, delimiters: Delimiters) -> bool:
    """Whether no field of a short text is divided further than into components, is null, or holds escapes or breaks.

    A delimiter that this sender lacks is "", which is in every text.
    """
    return not (
        len(text) > LONG_TEXT
        or delimiters.repetition in text
        or delimiters.subcomponent in text
        or delimiters.escape in text
        or _NULL in text
        or "\n" in text
        or "\r" in text
    )


def split_text(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else [text]


def part_of(text: str, separator: str, place: int) -> str:
    """Part `place` (1-based) of a text, "" when it has fewer; without a separator it is a single part."""
    parts = text.split(separator, place) if separator else [text]
    return parts[place - 1] if place <= len(parts) else ""
