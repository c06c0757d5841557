"""One message for people: its fields by name, in its own character set, what each row of the mapping took of them, what
nothing reads, its acknowledgement, its orders and patients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import GatewayError
from gateway.mapping import ORDERS
from gateway.mapping.coverage import fields_read, is_read
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.paths import PATH
from gateway.operations.explain import Explanation, explain_message
from gateway.operations.message_tools import MessageTools
from gateway.wire.hl7.field_names import field_names
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.parsing import parse
from gateway.wire.hl7.segment import Segment
from gateway.wire.hl7.structure import is_of_structure

MOST_SEGMENTS: Final = 300
MOST_CHARACTERS: Final = 2_000
"""Of a field; a document in OBX-5 is longer."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field with a value."""

    place: str
    """`PID-3`."""
    name: str
    """As the standard has it; empty: it has none."""
    text: str
    """As sent, decoded; at most `MOST_CHARACTERS`."""
    more: int
    """Characters beyond those."""
    rows: Sequence[Trace]
    """What rows of the mapping made of it."""
    is_read: bool


@dataclass(frozen=True, slots=True)
class SegmentView:
    name: str
    number: int
    """Which of the segments of this name, from 1."""
    fields: Sequence[FieldView]


@dataclass(frozen=True, slots=True)
class MessageView:
    """A kept message. Without segments: it cannot be read."""

    row: Mapping[str, Any]
    codec: str
    """By which the bytes were read."""
    declared: str
    """MSH-18."""
    segments: Sequence[SegmentView]
    more_segments: int
    ack: Sequence[SegmentView]
    faults: Sequence[Mapping[str, str]]
    """Findings, without those of the structure."""
    structure: Sequence[Mapping[str, str]]
    """What the structure departs from the standard in."""
    explanation: Explanation
    """What the message would become today."""


def message_view(row: Mapping[str, Any], tools: MessageTools) -> MessageView:
    """A row of `messages` with its bytes. Loads tables of names when a version comes first: not in the event loop."""
    message = tools.reader.message_of(row["body"], row["listener"])
    explanation = explain_message(tools.mappings, tools.reader, row["listener"], row["body"], at=row["received_at"])
    segments = (
        list(_segments(message, explanation.traces, fields_read(tools.mappings.files[ORDERS]))) if message else []
    )
    return MessageView(
        row,
        message.codec if message else "",
        message.declared_charset if message else "",
        segments,
        max(0, len(message.segments) - MOST_SEGMENTS) if message else 0,
        list(_acknowledgement(row["ack"])),
        [one for one in row["findings"] if not is_of_structure(one)],
        [one for one in row["findings"] if is_of_structure(one)],
        explanation,
    )


def _acknowledgement(raw: bytes) -> Iterator[SegmentView]:
    try:
        message = parse(raw)
    except GatewayError:
        # What was imported from a file has none; what cannot be read gets one all the same.
        return
    yield from _segments(message, (), frozenset())


def _segments(message: Message, traces: Sequence[Trace], read: frozenset[tuple[str, int]]) -> Iterator[SegmentView]:
    names = field_names(message.version)
    counts: dict[str, int] = {}
    for segment in message.segments:
        counts[segment.name] = counts.get(segment.name, 0) + 1
    taken = _Taken(traces, counts)
    for segment in message.segments[:MOST_SEGMENTS]:
        yield SegmentView(segment.name, segment.occurrence, list(_fields(segment, names, taken, read)))


def _fields(
    segment: Segment, names: Mapping[str, str], taken: _Taken, read: frozenset[tuple[str, int]]
) -> Iterator[FieldView]:
    for number, text in enumerate(segment.fields[1:], start=1):
        if text:
            place = f"{segment.name}-{number}"
            rows = taken.of(segment, number)
            yield FieldView(
                place, names.get(place, ""), text[:MOST_CHARACTERS], max(0, len(text) - MOST_CHARACTERS), rows,
                bool(rows) or is_read(segment.name, number, read),
            )  # fmt: skip


class _Taken:
    """The traces of a dry run by the field that each is of."""

    def __init__(self, traces: Iterable[Trace], counts: Mapping[str, int]) -> None:
        self._counts = counts
        self._by_field: dict[tuple[str, int], list[tuple[int, Trace]]] = {}
        self._groups = 1
        for trace in traces:
            match = PATH.fullmatch(trace.source)
            group = _group_of(trace)
            self._groups = max(self._groups, group)
            if match is not None:
                key = match["segment"], int(match["field"] or 0)
                self._by_field.setdefault(key, []).append((0 if match["all"] else group, trace))

    def of(self, segment: Segment, number: int) -> Sequence[Trace]:
        """What rows made of a field. A segment that each group of an order has once is of the group of its number."""
        each_group = self._counts[segment.name] == self._groups
        found = self._by_field.get((segment.name, number), [])
        return [trace for group, trace in found if not group or not each_group or group == segment.occurrence]


def _group_of(trace: Trace) -> int:
    """Of `step[2]` the 2; of a level without a number the first."""
    number = trace.level.partition("[")[2].rstrip("]")
    return int(number) if number else 1
