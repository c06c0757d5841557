"""A tolerant reader of HL7 v2 messages in the `|^~\\&` encoding (HL7 2.5.1 ch. 2.5 to 2.7, 2.14).

Nothing is split before it is asked for, escapes are resolved last; all that arrived can be written back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from gateway.errors import Malformed, Undecodable
from gateway.wire import charsets
from gateway.wire.hl7.escapes import LINE_BREAK, Delimiters, escape, read_delimiters, unescape

__all__ = ["Delimiters", "Message", "Segment", "escape", "parse", "unescape"]

_HEADERS = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose field 1 is the field separator and field 2 the encoding characters."""

# A message may stand in a batch envelope; blank lines and a stray MLLP start byte before it are skipped.
_START = r"([ \t\r\n\v\f]*)(?:[FB]HS[^\r\n]*[\r\n]+)*(MSH[^\r\n]*)"
_START_BYTES = re.compile(_START.encode())
_START_TEXT = re.compile(_START)

# Sets whose second bytes may look like delimiters, so that MSH-18 can only be found after decoding.
_DELIMITER_BEARING = ("iso2022_jp_2", "gb18030", "shift_jis", "big5")


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
    )

    def __init__(self, text: str, end: str, occurrence: int, position: int, delimiters: Delimiters, codec: str) -> None:
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
        escape = delimiters.escape
        self._plain = not ((escape and escape in text) or "\r" in text or "\n" in text)

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
            if self.name in _HEADERS:
                fields.insert(1, self._delimiters.field)
        return fields

    def field(self, n: int) -> str:
        """Field n as sent, still encoded; "" when absent."""
        fields = self._fields or self.fields
        return fields[n] if n < len(fields) else ""

    def components(self, n: int) -> list[str]:
        """Field n as components, if it is divided no further and free of escapes and line breaks; else []."""
        raw = self.field(n)
        delimiters = self._delimiters
        # A delimiter that this sender lacks is "", which is in every text.
        if not self._plain or not raw or delimiters.repetition in raw or delimiters.subcomponent in raw:
            return []
        return raw.split(delimiters.component)

    def repetitions(self, n: int) -> list[list[list[str]]]:
        """Field n as [repetition][component][subcomponent], unescaped; [] when absent or empty.

        A null stays the two characters `""` (HL7 2.5.1 ch. 2.5.3).
        """
        raw = self.field(n)
        if not raw:
            return []
        if n <= 2 and self.name in _HEADERS:
            return [[[raw]]]
        delimiters = self._delimiters
        split = [
            [_split(component, delimiters.subcomponent) for component in _split(repetition, delimiters.component)]
            for repetition in _split(raw, delimiters.repetition)
        ]
        if self._plain:
            return split
        value = self._value
        return [[[value(leaf) for leaf in component] for component in repetition] for repetition in split]

    def leaf(self, n: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """One subcomponent, unescaped; "" when absent. An undivided component is its subcomponent 1."""
        raw = self.field(n)
        if not raw:
            return ""
        if n <= 2 and self.name in _HEADERS:
            return raw if component == subcomponent == repetition == 1 else ""
        delimiters = self._delimiters
        if repetition != 1 or delimiters.repetition in raw:
            raw = _part(raw, delimiters.repetition, repetition)
        if component != 1 or delimiters.component in raw:
            raw = _part(raw, delimiters.component, component)
        if subcomponent != 1 or delimiters.subcomponent in raw:
            raw = _part(raw, delimiters.subcomponent, subcomponent)
        return raw if self._plain else self._value(raw)

    def _value(self, raw: str) -> str:
        """A leaf of a segment that holds escapes or line breaks."""
        if "\r" in raw or "\n" in raw:
            raw = LINE_BREAK.sub("\r\n", raw)
        return unescape(raw, self._delimiters, self._codec)


class Message:
    """A message as read: its bytes, its text and its segments."""

    __slots__ = (
        "_bom",
        "_lead",
        "_msh",
        "codec",
        "declared_charset",
        "delimiters",
        "raw",
        "segments",
        "text",
    )

    def __init__(
        self,
        raw: bytes,
        text: str,
        *,
        declared_charset: str,
        codec: str,
        bom: bytes,
        lead: str,
        delimiters: Delimiters,
        segments: tuple[Segment, ...],
    ) -> None:
        self.raw = raw
        self.text = text
        """All of it, decoded, without byte order mark."""
        self.declared_charset = declared_charset
        """MSH-18 as sent, with its repetitions."""
        self.codec = codec
        """The Python codec that read the bytes."""
        self.delimiters = delimiters
        self.segments = segments
        self._bom = bom
        self._lead = lead
        self._msh = next(segment for segment in segments if segment.name == "MSH")

    @property
    def type(self) -> str:
        """MSH-9.1, `ORM`."""
        return self._msh.leaf(9, 1)

    @property
    def trigger(self) -> str:
        """MSH-9.2, `O01`."""
        return self._msh.leaf(9, 2)

    @property
    def control_id(self) -> str:
        return self._msh.leaf(10)

    @property
    def sending_application(self) -> str:
        return self._msh.leaf(3)

    @property
    def sending_facility(self) -> str:
        return self._msh.leaf(4)

    @property
    def receiving_application(self) -> str:
        return self._msh.leaf(5)

    @property
    def receiving_facility(self) -> str:
        return self._msh.leaf(6)

    @property
    def timestamp(self) -> str:
        return self._msh.leaf(7)

    @property
    def processing_id(self) -> str:
        return self._msh.leaf(11)

    @property
    def accept_acknowledgement(self) -> str:
        """MSH-15 (table 0155): when to send an accept acknowledgement."""
        return self._msh.leaf(15)

    @property
    def application_acknowledgement(self) -> str:
        """MSH-16 (table 0155)."""
        return self._msh.leaf(16)

    @property
    def version(self) -> str:
        return self._msh.leaf(12)

    def first(self, name: str) -> Segment | None:
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name == name]

    def encode(self) -> bytes:
        """The segments written back: the bytes of `raw`."""
        text = self._lead + "".join([segment._text + segment._end for segment in self.segments])
        data = text.encode(self.codec, "replace")
        # ISO 2022 and the East Asian sets can spell one text in several ways; the sender's own is kept.
        if text == self.text and self._bom + data != self.raw:
            return self.raw
        return self._bom + data


def sender_of(raw: bytes) -> tuple[str, str]:
    """(MSH-3.1, MSH-4.1) before anything is decoded; they are compared with names in ASCII. Empty without an MSH."""
    for bom, codec in charsets.BYTE_ORDER_MARKS:
        if raw.startswith(bom):
            raw = raw[len(bom) :].decode(codec, "replace").encode()
            break
    start = _START_BYTES.match(raw)
    header = start[2].decode("latin_1") if start else ""
    fields = header.split(header[3:4] or "|", 4)
    component = header[4:5]
    names = [field.split(component, 1)[0] if component else field for field in (*fields[2:4], "", "")]
    return names[0].strip(), names[1].strip()


def parse(raw: bytes, *, charset: str = "", fallback_charset: str = "", replace_undecodable: bool = False) -> Message:
    """Read one message.

    charset: table 0211 name of what this sender uses whatever MSH-18 says. fallback_charset: what it uses while its
    MSH-18 is empty or says ASCII. replace_undecodable: read what the set does not have as U+FFFD.

    Raises Malformed (place `MSH`, `MSH-1`, `MSH-2`) and Undecodable (place such as `PID-5`; `MSH-18` for an
    unknown character set), nothing else.
    """
    bom, text, declared, codec = _decode(raw, charset, fallback_charset, replace_undecodable)
    start = _START_TEXT.match(text)
    if start is None:
        raise _no_msh()
    delimiters = read_delimiters(start[2])
    lead = start[1]
    segments = tuple(_segments(text[len(lead) :], delimiters, codec))
    if [segment.name for segment in segments].count("MSH") != 1:
        raise Malformed("more than one MSH: send each message by itself", place="MSH")
    return Message(
        raw,
        text,
        declared_charset=declared,
        codec=codec,
        bom=bom,
        lead=lead,
        delimiters=delimiters,
        segments=segments,
    )


def _no_msh() -> Malformed:
    return Malformed("no MSH segment at the start of the message", place="MSH")


# bytes to text


def _decode(raw: bytes, charset: str, fallback: str, lenient: bool) -> tuple[bytes, str, str, str]:
    """(byte order mark, text, MSH-18 as sent, codec). Decoding goes before splitting: the second bytes of
    kanji look like delimiters."""
    for bom, codec in charsets.BYTE_ORDER_MARKS:
        if raw.startswith(bom):
            body = raw[len(bom) :]
            text = _read(body, codec, lenient)
            start = _START_TEXT.match(text)
            return bom, text, _field_18(start[2]) if start else "", codec
    start_bytes = _START_BYTES.match(raw)
    if start_bytes is None:
        raise _no_msh()
    declared, names = _declared(start_bytes[2])
    codecs = charsets.codecs_of(charset) if charset else charsets.candidates(names, raw, fallback)
    if not codecs:
        raise Undecodable("unknown character set; send a name of HL7 table 0211, such as UNICODE UTF-8", place="MSH-18")
    for codec in codecs:
        try:
            return b"", raw.decode(codec), declared, codec
        except UnicodeError:
            continue
    return b"", _read(raw, codecs[0], lenient), declared, codecs[0]


def _read(body: bytes, codec: str, lenient: bool) -> str:
    try:
        return body.decode(codec, "replace" if lenient else "strict")
    except UnicodeDecodeError as error:
        raise Undecodable(
            f"byte 0x{body[error.start]:02X} at offset {error.start} is not {codec} text: "
            "send the character set that MSH-18 declares, or declare the one that is sent",
            place=_place(body, error.start, codec),
        ) from None


def _declared(header: bytes) -> tuple[str, list[str]]:
    """MSH-18 and its repetitions, from the bytes of an MSH not yet decoded."""
    plain = header.decode("latin_1")
    readings = [plain]
    if not header.isascii() or b"\x1b" in header:
        readings += [header.decode(codec, "replace") for codec in _DELIMITER_BEARING]
    for reading in readings:
        declared = _field_18(reading)
        names = _split(declared, reading[5:6])
        if declared and all(charsets.is_known(name) for name in names if name):
            return declared, names
    return _field_18(plain), _split(_field_18(plain), plain[5:6])


def _field_18(msh: str) -> str:
    parts = msh.split(msh[3:4] or "|", 18)
    return parts[17] if len(parts) > 17 else ""


def _place(body: bytes, offset: int, codec: str) -> str:
    """`PID-5` for the byte at `offset`, as far as the text before it can be read."""
    before = body[:offset].decode(codec, "replace")
    start = _START_TEXT.match(before)
    if start is None or len(start[2]) < 4:
        return "MSH"
    separator = start[2][3]
    begun = re.compile(rf"(?:\A|[\r\n])([A-Z][A-Z0-9]{{2}})(?={re.escape(separator)}|[\r\n])")
    begins = [match.start(1) for match in begun.finditer(before)]
    text = before[begins[-1] :] if begins else start[2]
    field = text.count(separator) + (text[:3] in _HEADERS)
    return f"{text[:3]}-{field}" if field else text[:3]


# text to segments


@lru_cache(maxsize=64)
def _segment_start(separator: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(separator)}|\Z)")


def _segments(body: str, delimiters: Delimiters, codec: str) -> Iterator[Segment]:
    lines, ends = _lines(body, delimiters.field)
    begins = _segment_start(delimiters.field).match
    starts = [i for i, line in enumerate(lines) if begins(line)]
    if len(lines) == len(starts) + 1 and lines[-1] == "":
        lines.pop()  # what stands after the last terminator
    if not starts or starts[0] != 0:
        raise Malformed("the batch header does not use the delimiters of MSH", place=lines[0][:3])
    occurrences: dict[str, int] = {}
    for position, (i, j) in enumerate(zip(starts, [*starts[1:], len(lines)], strict=True)):
        text, end = lines[i], ends[i]
        if j - i > 1:
            text, end = _glued(lines, ends, i, j)
        name = text[:3]
        occurrences[name] = occurrence = occurrences.get(name, 0) + 1
        yield Segment(text, end, occurrence, position, delimiters, codec)


def _lines(body: str, separator: str) -> tuple[list[str], list[str]]:
    """The lines of a message and the terminator after each, as sent.

    The terminator is CR; when there is any, a lone LF is text, unless a segment begins after it (text has no
    bare field separator: such a sender mixes the two). Without any CR it is LF.
    """
    cr, lf = body.count("\r"), body.count("\n")
    if cr and lf and not cr == lf == body.count("\r\n"):
        pieces = _mixed(separator).split(body)
        return pieces[::2], [*pieces[1::2], ""]
    terminator = "\r" * bool(cr) + "\n" * bool(lf) or "\r"
    lines = body.split(terminator)
    return lines, [*[terminator] * (len(lines) - 1), ""]


@lru_cache(maxsize=64)
def _mixed(separator: str) -> re.Pattern[str]:
    return re.compile(rf"(\n?\r\n?|\n(?=[A-Z][A-Z0-9]{{2}}{re.escape(separator)}))")


def _glued(lines: list[str], ends: list[str], i: int, j: int) -> tuple[str, str]:
    """Lines i to j-1, of which the first alone begins a segment: (segment text, what follows it). The rest is
    text after a break that should have been \\.br\\; blank lines at the end are left out."""
    last = j - 1
    while last > i and not lines[last].strip():
        last -= 1
    text = "".join([part for k in range(i, last) for part in (lines[k], ends[k])]) + lines[last]
    end = ends[last] + "".join([part for k in range(last + 1, j) for part in (lines[k], ends[k])])
    return text, end


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else [text]


def _part(text: str, separator: str, place: int) -> str:
    """Part `place` (1-based) of a text, "" when it has fewer; without a separator it is a single part."""
    parts = text.split(separator, place) if separator else [text]
    return parts[place - 1] if place <= len(parts) else ""
