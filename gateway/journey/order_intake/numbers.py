"""The numbers and names by which people ask for a message, read from the fields of the standard whatever rows map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.errors import Malformed
from gateway.records.lookup import MessageNumber, NumberKind
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.segment import Segment
from gateway.worklist.names import name_key

FIELDS: Final[Mapping[str, tuple[int, ...]]] = {
    "MSH": (10,),
    "PID": (2, 3, 4, 18),
    "MRG": (1, 2, 4),
    "ORC": (2, 3, 4, 8),
    "OBR": (2, 3, 18, 19, 20),
    "IPC": (1, 2, 3, 4),
    "ZDS": (1,),
    "SCH": (1, 2, 26, 27),
}
"""Segment -> fields whose first component is a number of the message, patient, visit, order, step or study."""
NAME: Final = 5
"""PID-5."""
MOST: Final = 64
LONGEST: Final = 256
NULL: Final = '""'


def numbers_of(message: Message) -> list[MessageNumber]:
    """At most `MOST` numbers and keys of names, each once."""
    numbers: dict[MessageNumber, None] = {}
    try:
        for one in _all(message):
            if one.value and one.value != NULL and len(one.value) <= LONGEST and "\0" not in one.value:
                numbers[one] = None
            if len(numbers) == MOST:
                break
    except Malformed:
        # A field of too many parts: what was read before it has to do.
        pass
    return list(numbers)


def _all(message: Message) -> Iterator[MessageNumber]:
    for segment in message.segments:
        for field in FIELDS.get(segment.name, ()):
            for repetition in segment.repetitions(field):
                yield MessageNumber(NumberKind.NUMBER, repetition[0][0].strip())
        if segment.name == "PID":
            yield from _names(segment)


def _names(segment: Segment) -> Iterator[MessageNumber]:
    for repetition in segment.repetitions(NAME):
        key = name_key("^".join(component[0].replace("=", " ") for component in repetition[:3]))
        yield MessageNumber(NumberKind.NAME, key)
        yield MessageNumber(NumberKind.GIVEN, key.partition("^")[2])
