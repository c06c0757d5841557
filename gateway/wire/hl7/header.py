"""What the MSH segments of a sender have in common: read once, for all of its messages of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.wire.hl7.escapes import read_delimiters
from gateway.wire.hl7.segment import Segment

TIMESTAMP: Final = 7
CONTROL_ID: Final = 10
"""MSH-7 and MSH-10 differ from message to message."""
KEPT: Final = 256
"""Headers that are kept."""
KEPT_CHARACTERS: Final = 512
"""Of an MSH whose header is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """An MSH without MSH-7 and MSH-10. Compared by identity: what was made of one is remembered by it."""

    fields: tuple[str, ...]
    """As sent, by their number; MSH-7 and MSH-10 are left empty."""
    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    type: str
    trigger: str
    processing_id: str
    version: str
    accept_acknowledgement: str
    application_acknowledgement: str

    def field(self, number: int) -> str:
        """A field as sent, still encoded; "" when absent."""
        return self.fields[number] if number < len(self.fields) else ""


def header_of(msh: Segment, codec: str) -> Header:
    """The header of a message whose text was read with `codec`."""
    sent = msh.fields
    fields = (*sent[:TIMESTAMP], "", *sent[TIMESTAMP + 1 : CONTROL_ID], "", *sent[CONTROL_ID + 1 :])
    return _remembered(codec, fields) if len(msh.text) <= KEPT_CHARACTERS else _read(codec, fields)


def _read(codec: str, fields: tuple[str, ...]) -> Header:
    name, separator, *others = fields
    text = separator.join([name, *others])
    leaf = Segment(text, "", 1, 0, read_delimiters(text), codec).leaf
    return Header(
        fields, leaf(3), leaf(4), leaf(5), leaf(6), leaf(9, 1), leaf(9, 2), leaf(11), leaf(12), leaf(15), leaf(16)
    )


_remembered: Final = lru_cache(maxsize=KEPT)(_read)
