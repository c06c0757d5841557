"""Messages of our own, in the delimiters `|^~\\&`: MSH and segments from fields, escaped (HL7 2.5.1 ch. 2.5 to 2.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.wire.charsets import codecs_of, table_name
from gateway.wire.hl7.escapes import Delimiters, escape

Fields = Mapping[int, Sequence[Sequence[Sequence[str]]]]
"""Field number -> [repetition][component][subcomponent], without escapes."""
DELIMITERS: Final = Delimiters()
MOST_NAME: Final = 180
"""Characters of an application or facility (HD, HL7 2.3.1 and 2.5.1)."""
_TO_ESCAPE: Final = frozenset("|^~\\&")


@dataclass(frozen=True, slots=True)
class Header:
    """MSH of a message that we send (HL7 2.5.1 ch. 2.15.9)."""

    sending: tuple[str, str]
    """Application and facility, MSH-3 and MSH-4."""
    receiving: tuple[str, str]
    """MSH-5 and MSH-6."""
    type: tuple[str, str, str]
    """MSH-9: message code, trigger event, structure."""
    version: str
    charset: str
    """Of MSH-18 and of the bytes; empty: ASCII, of which MSH-18 says nothing."""
    processing_id: str = "P"


@dataclass(frozen=True, slots=True)
class WrittenMessage:
    """A message that is ready to be sent."""

    text: str
    codec: str
    """Of its bytes, which has every character of the text."""
    is_whole: bool
    """False: for a character that the codec lacks stands `?`."""


def written(header: Header, control_id: str, at: datetime, segments: Iterable[tuple[str, Fields]]) -> WrittenMessage:
    """A message in the character set that its MSH-18 names. `at`: MSH-7, with the offset that it has."""
    text = "".join(f"{line}\r" for line in (_msh(header, control_id, at), *(_line(*one) for one in segments)))
    codec = codecs_of(header.charset)[0] if header.charset else "ascii"
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return WrittenMessage(text.encode(codec, "replace").decode(codec), codec, False)
    return WrittenMessage(text, codec, True)


def _msh(header: Header, control_id: str, at: datetime) -> str:
    fields = {
        3: header.sending[0], 4: header.sending[1], 5: header.receiving[0], 6: header.receiving[1],
        10: control_id, 11: header.processing_id, 12: header.version, 18: table_name(header.charset),
    }  # fmt: skip
    made: dict[int, Sequence[Sequence[Sequence[str]]]] = {number: [[[text]]] for number, text in fields.items() if text}
    made[7] = [[[f"{at:%Y%m%d%H%M%S%z}"]]]
    # Before 2.3.1 the structure was no part of MSH-9.
    made[9] = [[[part] for part in (header.type if header.version >= "2.3.1" else header.type[:2])]]
    # Field 1 is the separator itself, so that what stands for field 2 comes first.
    return "MSH|^~\\&|" + _line("", made)[3:]


def _line(name: str, fields: Fields) -> str:
    return "|".join([name, *(_field(fields.get(number, ())) for number in range(1, max(fields, default=0) + 1))])


def _field(repetitions: Sequence[Sequence[Sequence[str]]]) -> str:
    return "~".join(["^".join(["&".join(map(_leaf, one)) for one in components]) for components in repetitions])


def _leaf(text: str) -> str:
    if text.isprintable() and _TO_ESCAPE.isdisjoint(text):
        return text
    return escape(text, DELIMITERS)
