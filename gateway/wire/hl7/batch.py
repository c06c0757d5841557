"""Batches: several messages in one block, between FHS, BHS and BTS, FTS (HL7 2.5.1 ch. 2.10.3, 2.15.2 to 2.15.7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.long_work import pause, with_pauses

_UTF_8_MARK = b"\xef\xbb\xbf"
# Read before decoding: no character set of HL7 has bytes of 0x0A or 0x0D inside a character.
_FIRST = re.compile(rb"\s*(?P<name>FHS|BHS)(?![A-Za-z0-9])")
# The end of the line before is in the pattern: a search for two bytes takes a fifth of the time of a look behind.
_NEXT = re.compile(rb"[\r\n][ \t\v\f]*(?P<name>MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Batch:
    """A block that begins with FHS or BHS and holds several messages."""

    messages: Sequence[bytes]
    headers: Sequence[bytes]
    """The first FHS and BHS, as sent."""
    stated: int | None
    """How many messages BTS-1 says there are, over all batches; None when it does not."""


def split(raw: bytes) -> Batch | None:
    """The messages of a batch; None for anything else, also for a single message in an envelope."""
    if raw.startswith(b"MSH"):
        return None
    body = raw.removeprefix(_UTF_8_MARK)
    mark = raw[: len(raw) - len(body)]
    first = _FIRST.match(body)
    if first is None:
        return None
    found = [first, *with_pauses(_NEXT.finditer(body, first.end()))]
    ends = [match.start() + 1 for match in found[1:]] + [len(body)]
    parts = [_part(body, match, end) for match, end in zip(found, ends, strict=True)]
    messages = [mark + part for name, part in parts if name == b"MSH"]
    if len(messages) < 2:
        return None
    headers = {name: part for name, part in reversed(parts) if name in (b"FHS", b"BHS")}
    counts = [re.match(rb"BTS[^A-Za-z0-9](\d{1,9})", part) for name, part in parts if name == b"BTS"]
    stated = sum(int(count[1]) for count in counts if count) if any(counts) else None
    return Batch(messages, [headers[name] for name in (b"FHS", b"BHS") if name in headers], stated)


def _part(body: bytes, match: re.Match[bytes], end: int) -> tuple[bytes, bytes]:
    pause()
    return match["name"], body[match.start("name") : end]


def answer(batch: Batch, acknowledgements: Sequence[bytes], *, control_id: str, now: str) -> bytes:
    """The acknowledgements as a batch of their own: under the sender's headers, turned round."""
    headers = [_turned(header, control_id, now) for header in batch.headers]
    separators = {header[:3]: header[3:4] for header in headers}
    trailers = []
    if b"BHS" in separators:
        trailers.append(b"BTS" + separators[b"BHS"] + str(len(acknowledgements)).encode() + b"\r")
    if b"FHS" in separators:
        trailers.append(b"FTS" + separators[b"FHS"] + b"1\r")
    return b"".join([*headers, *acknowledgements, *trailers])


def _turned(header: bytes, control_id: str, now: str) -> bytes:
    """FHS or BHS with sender and receiver exchanged; field 11 is ours, field 12 refers to theirs."""
    line = re.split(rb"[\r\n]", header, maxsplit=1)[0]
    separator = line[3:4] or b"|"
    fields = (line.split(separator) + [b""] * 11)[:11]
    turned = [fields[0], fields[1], fields[4], fields[5], fields[2], fields[3], now.encode()]
    turned += [b"", b"", b"", control_id.encode(), fields[10]]
    return separator.join(turned) + b"\r"
