"""Bytes to a message: where MSH begins, which character set, which segments (HL7 2.5.1 ch. 2.6, 2.15.9.18)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from gateway.errors import Malformed, Place, TooManyParts, Undecodable
from gateway.long_work import SLICE_CHARACTERS, pause, with_pauses
from gateway.wire import charsets
from gateway.wire.hl7.escapes import Delimiters, read_delimiters
from gateway.wire.hl7.message import Message
from gateway.wire.hl7.segment import HEADERS, LONG_TEXT, Segment, is_flat, split_text

MAX_HEADER_BYTES = 64 * 1024
"""Of an MSH with the batch headers before it."""
MAX_LINES = 250_000
"""A document of 10 MiB in base64 has 140,000."""
MAX_SEGMENTS = 10_000
MAX_FIELDS = 10_000
"""Of one segment; a text with bare field separators has many."""
_MANY_LINES = 1_000
_SLICE_BYTES = 64 * 1024
"""So much is decoded at a time: no other thread computes meanwhile."""

_SHORTLY = 5
"""Characters of a line break and the name of a segment behind it."""
_BREAKS = frozenset("\r\n")

# A message may stand in a batch envelope; blank lines and a stray MLLP start byte before it are skipped.
_START = r"([ \t\r\n\v\f]*)(?:[FB]HS[^\r\n]*[\r\n]+)*(MSH[^\r\n]*)"

_START_BYTES = re.compile(_START.encode())

_START_TEXT = re.compile(_START)

# Sets whose second bytes may look like delimiters, so that MSH-18 can only be found after decoding.
_DELIMITER_BEARING = ("iso2022_jp_2", "gb18030", "shift_jis", "big5")


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
        raise Malformed("more than one MSH: send each message by itself", place=Place("MSH"))
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


def _check_header(header: bytes | str) -> None:
    if len(header) > MAX_HEADER_BYTES:
        raise Malformed(f"MSH is longer than {MAX_HEADER_BYTES} bytes: end it with CR", place=Place("MSH"))


def _no_msh() -> Malformed:
    return Malformed("no MSH segment at the start of the message", place=Place("MSH"))


# bytes to text


def _decode(raw: bytes, charset: str, fallback: str, lenient: bool) -> tuple[bytes, str, str, str]:
    """(byte order mark, text, MSH-18 as sent, codec). Decoding goes before splitting: the second bytes of
    kanji look like delimiters."""
    for bom, codec in charsets.BYTE_ORDER_MARKS:
        if raw.startswith(bom):
            body = raw[len(bom) :]
            text = _read(body, codec, lenient)
            start = _START_TEXT.match(text)
            _check_header(start[2] if start else "")
            return bom, text, _field_18(start[2]) if start else "", codec
    start_bytes = _START_BYTES.match(raw)
    if start_bytes is None:
        raise _no_msh()
    _check_header(start_bytes[2])
    declared, names = _declared(start_bytes[2])
    candidates = charsets.codecs_of(charset) if charset else charsets.candidates(names, raw, fallback)
    if not candidates:
        raise Undecodable(
            "unknown character set; send a name of HL7 table 0211, such as UNICODE UTF-8", place=Place("MSH", 18)
        )
    for codec in candidates:
        try:
            return b"", _decoded(raw, codec), declared, codec
        except UnicodeError:
            continue
    return b"", _read(raw, candidates[0], lenient), declared, candidates[0]


def _read(body: bytes, codec: str, lenient: bool) -> str:
    try:
        return _decoded(body, codec, "replace" if lenient else "strict")
    except UnicodeDecodeError as error:
        raise Undecodable(
            f"byte 0x{body[error.start]:02X} at offset {error.start} is not {codec} text: "
            "send the character set that MSH-18 declares, or declare the one that is sent",
            place=_place(body, error.start, codec),
        ) from None


def _decoded(body: bytes, codec: str, errors: str = "strict") -> str:
    """Raises `UnicodeDecodeError`."""
    if len(body) > _SLICE_BYTES:
        decoder = codecs.getincrementaldecoder(codec)(errors)
        slices = (body[at : at + _SLICE_BYTES] for at in range(0, len(body), _SLICE_BYTES))
        with suppress(UnicodeError):  # whose offset counts from the slice
            return "".join([decoder.decode(one) for one in slices]) + decoder.decode(b"", final=True)
    return body.decode(codec, errors)


def _declared(header: bytes) -> tuple[str, list[str]]:
    """MSH-18 and its repetitions, from the bytes of an MSH not yet decoded."""
    plain = header.decode("latin_1")
    readings = [plain]
    if not header.isascii() or b"\x1b" in header:
        readings += [header.decode(codec, "replace") for codec in _DELIMITER_BEARING]
    for reading in readings:
        declared = _field_18(reading)
        names = split_text(declared, reading[5:6])
        if declared and all(charsets.is_known(name) for name in names if name):
            return declared, names
    return _field_18(plain), split_text(_field_18(plain), plain[5:6])


def _field_18(msh: str) -> str:
    parts = msh.split(msh[3:4] or "|", 18)
    return parts[17] if len(parts) > 17 else ""


def _place(body: bytes, offset: int, codec: str) -> Place:
    """`PID-5` for the byte at `offset`, as far as the text before it can be read."""
    before = body[:offset].decode(codec, "replace")
    start = _START_TEXT.match(before)
    if start is None or len(start[2]) < 4:
        return Place("MSH")
    separator = start[2][3]
    begun = re.compile(rf"(?:\A|[\r\n])([A-Z][A-Z0-9]{{2}})(?={re.escape(separator)}|[\r\n])")
    begins = [match.start(1) for match in begun.finditer(before)]
    text = before[begins[-1] :] if begins else start[2]
    field = text.count(separator) + (text[:3] in HEADERS)
    return Place(text[:3], field)


# text to segments


@lru_cache(maxsize=64)
def _segment_start(separator: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(separator)}|\Z)")


def _segments(body: str, delimiters: Delimiters, codec: str) -> Iterator[Segment]:
    lines, ends = _lines(body, delimiters.field)
    *texts, rest = lines
    if rest == "" and len(body) <= LONG_TEXT and all(map(_segment_start(delimiters.field).match, texts)):
        return _one_each(texts, ends, delimiters, codec)
    return _of_lines(lines, ends, delimiters, codec)


def _one_each(texts: list[str], ends: list[str], delimiters: Delimiters, codec: str) -> Iterator[Segment]:
    """The segments of a short message with one on each line."""
    # The first is MSH, or the header of a batch, whose field 2 holds all delimiters.
    flat = is_flat("".join(texts[1:]), delimiters) or None
    occurrences: dict[str, int] = {}
    for position, text in enumerate(texts):
        name = text[:3]
        occurrences[name] = occurrence = occurrences.get(name, 0) + 1
        yield Segment(text, ends[position], occurrence, position, delimiters, codec, flat and position > 0)


def _of_lines(lines: list[str], ends: list[str], delimiters: Delimiters, codec: str) -> Iterator[Segment]:
    """The segments of any message: text may go on for several lines."""
    begins = _segment_start(delimiters.field).match
    is_long = len(lines) > _MANY_LINES
    starts = [i for i, line in enumerate(with_pauses(lines) if is_long else lines) if begins(line)]
    if len(starts) > MAX_SEGMENTS:
        place = Place(lines[starts[MAX_SEGMENTS]][:3])
        raise TooManyParts(f"the message has {len(starts)} segments; send at most {MAX_SEGMENTS} in one", place=place)
    if len(lines) == len(starts) + 1 and lines[-1] == "":
        lines.pop()  # what stands after the last terminator
    if not starts or starts[0] != 0:
        raise Malformed("the batch header does not use the delimiters of MSH", place=Place(lines[0][:3]))
    occurrences: dict[str, int] = {}
    extents = list(zip(starts, [*starts[1:], len(lines)], strict=True))
    for position, (i, j) in enumerate(with_pauses(extents) if is_long else extents):
        text, end = lines[i], ends[i]
        if j - i > 1:
            text, end = _glued(lines, ends, i, j)
        name = text[:3]
        occurrences[name] = occurrence = occurrences.get(name, 0) + 1
        if len(text) > LONG_TEXT and text.count(delimiters.field) > MAX_FIELDS:
            place = Place(name, sequence=occurrence)
            raise Malformed(f"the segment has more than {MAX_FIELDS} fields; escape {delimiters.field}", place=place)
        yield Segment(text, end, occurrence, position, delimiters, codec)


def _lines(body: str, separator: str) -> tuple[list[str], list[str]]:
    """The lines of a message and the terminator after each, as sent.

    The terminator is CR; when there is any, a lone LF is text, unless a segment begins after it (text has no
    bare field separator: such a sender mixes the two). Without any CR it is LF.
    """
    cr, lf = body.count("\r"), body.count("\n")
    if max(cr, lf) > MAX_LINES:
        raise TooManyParts(f"the message has more than {MAX_LINES} lines; send it as several", place=Place("MSH"))
    if cr and lf and not cr == lf == body.count("\r\n"):
        breaks = [one for at, end in _windows(body) for one in _mixed(separator).finditer(body, at, end)]
        starts, ends = [0, *(one.end() for one in breaks)], [*(one.start() for one in breaks), len(body)]
        return list(map(body.__getitem__, map(slice, starts, ends))), [*(one[0] for one in breaks), ""]
    terminator = "\r" * bool(cr) + "\n" * bool(lf) or "\r"
    lines = body.split(terminator)
    return lines, [*[terminator] * (len(lines) - 1), ""]


def _windows(body: str) -> Iterator[tuple[int, int]]:
    """The body in parts that are looked through at a time: each ends before a line break, or far behind the last."""
    at = 0
    while at < len(body):
        end = at + SLICE_CHARACTERS
        while not _BREAKS.isdisjoint(body[end - 1 : end]) or (
            _BREAKS.isdisjoint(body[end : end + 1]) and not _BREAKS.isdisjoint(body[end - _SHORTLY : end])
        ):
            end += 1
        yield at, min(end, len(body))
        pause()
        at = end


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
