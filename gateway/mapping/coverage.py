"""What a dry run leaves over: rows of a mapping that gave nothing, and fields of a message that no row reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.errors import Place
from gateway.mapping.language.rows import MappingFile, Row
from gateway.mapping.language.trace import Trace
from gateway.mapping.orders.paths import PATH
from gateway.mapping.orders.scope import ReadableMessage

PROTOCOL: Final = frozenset({"MSH", "BHS", "FHS"})
"""Segments that the gateway reads as such."""
READ_BY_CODE: Final = frozenset(
    {("EVN", 2), ("MRG", 1), ("MRG", 4), ("ORC", 1), ("ORC", 2), ("ORC", 3), ("ORC", 5), ("ORC", 8), ("ORC", 9)}
    | {("OBR", 2), ("OBR", 3), ("OBR", 18), ("OBR", 19), ("OBR", 25), ("IPC", 10)}
    | {("SCH", 1), ("SCH", 2), ("SCH", 26), ("SCH", 27)}
)
"""Fields that decide which event and order a message is about: code reads them, whatever the rows say."""
NUMBERED: Final = frozenset(
    {
        "PID",
        "PV1",
        "OBR",
        "OBX",
        "NTE",
        "DG1",
        "AL1",
        "NK1",
        "GT1",
        "IN1",
        "TQ1",
        "AIS",
        "AIL",
        "AIP",
        "RGS",
        "GSP",
        "GSC",
    }
)
"""Segments whose field 1 only counts them."""


@dataclass(frozen=True, slots=True)
class SilentRow:
    """A row without a value."""

    level: str
    target: str
    sources: tuple[str, ...]
    origin: str
    """`file:line`."""


@dataclass(frozen=True, slots=True)
class UnreadField:
    """A field with a value that no row reads."""

    place: Place
    value: str
    """As sent."""


def silent_rows(file: MappingFile, traces: Iterable[Trace], levels: Collection[str] = ()) -> list[SilentRow]:
    """The rows of these levels (none named: of all) that gave no value anywhere."""
    spoken = {(trace.level.partition("[")[0], trace.target) for trace in traces}
    return [
        SilentRow(level, row.target, row.sources, row.origin)
        for level, rows in file.rows.items()
        if not levels or level in levels
        for row in rows
        if (level, row.target) not in spoken
    ]


def fields_read(file: MappingFile) -> frozenset[tuple[str, int]]:
    """(segment, field) of all that the rows of an order mapping name; field 0: the whole segment."""
    return frozenset(place for rows in file.rows.values() for row in rows for place in _places(row)) | READ_BY_CODE


def _places(row: Row) -> Iterator[tuple[str, int]]:
    for path in row.sources:
        match = PATH.fullmatch(path)
        if match is not None:
            yield match["segment"], int(match["field"] or 0)


def is_read(segment: str, field: int, read: Collection[tuple[str, int]]) -> bool:
    """Whether the gateway looks at a field: by a row, or by code."""
    counts = field == 1 and segment in NUMBERED
    return counts or segment in PROTOCOL or (segment, field) in read or (segment, 0) in read


def unread_fields(message: ReadableMessage, file: MappingFile) -> list[UnreadField]:
    """The fields of a message with a value that nothing reads, in its order."""
    read = fields_read(file)
    counted: dict[str, int] = {}
    unread = []
    for segment in message.segments:
        counted[segment.name] = counted.get(segment.name, 0) + 1
        for number, text in enumerate(segment.fields[1:], start=1):
            if text and not is_read(segment.name, number, read):
                sequence = counted[segment.name]
                unread.append(UnreadField(Place(segment.name, number, sequence=sequence if sequence > 1 else 0), text))
    return unread
