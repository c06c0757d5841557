"""A body of several parts as it comes (RFC 2046 5.1.1, RFC 2387): in whatever pieces, of which no more is kept than a
delimiter is long.

aiohttp's reader takes every text that begins as its boundary does for a delimiter, and trusts Content-Length of a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final, NamedTuple

from gateway.errors import Malformed

MAX_HEAD_BYTES: Final = 16 * 1024
"""Of the header fields of a part."""
MAX_BOUNDARY: Final = 256
"""RFC 2046 5.1.1 allows 70; Orthanc's plugin sends 73."""
_MOST_PADDING: Final = 256
"""White space behind a boundary."""
_LINE_END: Final = re.compile(rb"(--)?[ \t]*(\r?\n)")
_LINE_BEGUN: Final = re.compile(rb"(-|--)?[ \t]*\r?\Z")
_LAST_LINE: Final = re.compile(rb"(--)?[ \t]*\r?\Z")
_BLANK_LINE: Final = re.compile(rb"(?:\A|\r?\n)\r?\n")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_DASHES: Final = b"--"


class PartBegins(NamedTuple):
    headers: Mapping[str, str]
    """Names in lower case."""


class PartEnds(NamedTuple):
    """Every byte of the part has come."""


Event = PartBegins | bytes | PartEnds


class _At(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class _Delimiter(NamedTuple):
    begin: int
    end: int
    is_last: bool
    newline: bytes


class PartsReader:
    """`feed` what comes, then `finish`. Lines end as the first delimiter's does: in CR LF, or in LF alone."""

    def __init__(self, boundary: str) -> None:
        """Raises `Malformed` for what is no boundary."""
        if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
            raise Malformed(f"a boundary has 1 to {MAX_BOUNDARY} characters of ASCII", place="Content-Type")
        self._boundary = _DASHES + boundary.encode("ascii")
        self._buffer = bytearray(b"\n")
        """The first delimiter may stand where the body begins."""
        self._newline = b"\n"
        self._lead = 0
        """So many bytes of the buffer stand before the content."""
        self._at = _At.PREAMBLE

    def feed(self, data: bytes) -> Iterator[Event]:
        """What has begun, come and ended with these bytes. Raises `Malformed`."""
        if self._at is not _At.EPILOGUE:
            self._buffer += data
            yield from self._events(is_end=False)

    def finish(self) -> Iterator[Event]:
        """The body is at its end. Raises `Malformed` where that is amid a part, or without any."""
        yield from self._events(is_end=True)
        if self._at is _At.PREAMBLE:
            raise Malformed("no part; Content-Type names the boundary that stands between them", place="body")
        if self._at is not _At.EPILOGUE:
            raise Malformed("the body is cut off within a part", place="body")

    def _events(self, *, is_end: bool) -> Iterator[Event]:
        goes_on = True
        while goes_on and self._at is not _At.EPILOGUE:
            if self._at is _At.HEAD:
                head = self._head(is_end=is_end)
                goes_on = head is not None
                if head is not None:
                    yield PartBegins(head)
                continue
            found, ends_at = self._delimiter(is_end=is_end)
            if self._at is _At.CONTENT and (content := bytes(self._buffer[self._lead : ends_at])):
                yield content
            self._lead = max(0, self._lead - ends_at)
            del self._buffer[:ends_at]
            if found is not None and self._at is _At.CONTENT:
                yield PartEnds()
            goes_on = found is not None
            if found is not None:
                self._pass(found)

    def _pass(self, found: _Delimiter) -> None:
        del self._buffer[: found.end - found.begin]
        self._newline = found.newline if self._at is _At.PREAMBLE else self._newline
        self._at = _At.EPILOGUE if found.is_last else _At.HEAD

    def _delimiter(self, *, is_end: bool) -> tuple[_Delimiter | None, int]:
        """The next delimiter, and how far the buffer is content for certain."""
        mark, start = self._newline + self._boundary, 0
        while (begin := self._buffer.find(mark, start)) >= 0:
            after = begin + len(mark)
            line = _LINE_END.match(self._buffer, after, after + _MOST_PADDING)
            if line is not None:
                return _Delimiter(begin, line.end(), line[1] is not None, bytes(line[2])), begin
            if is_end and _LAST_LINE.match(self._buffer, after):
                return _Delimiter(begin, len(self._buffer), is_last=True, newline=b""), begin
            if len(self._buffer) - after < _MOST_PADDING and _LINE_BEGUN.match(self._buffer, after):
                return None, begin
            start = begin + 1
        return None, len(self._buffer) if is_end else max(0, len(self._buffer) - len(mark) + 1)

    def _head(self, *, is_end: bool) -> dict[str, str] | None:
        """The header fields of a part; None: they have not all come."""
        blank = _BLANK_LINE.search(self._buffer, 0, MAX_HEAD_BYTES)
        if blank is None:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise Malformed(f"header fields of a part of more than {MAX_HEAD_BYTES} bytes", place="body")
            if is_end and not self._buffer.strip():  # the last delimiter has no dashes at its end
                self._at = _At.EPILOGUE
            return None
        head = bytes(self._buffer[: blank.start()])
        if any(line.startswith(self._boundary) for line in head.splitlines()):
            raise Malformed("a part without the blank line behind its header fields", place="body")
        # The content may begin with a delimiter, whose line end is then that of the blank line.
        self._buffer[: blank.end()] = self._newline
        self._lead, self._at = len(self._newline), _At.CONTENT
        return _fields(head.decode("utf-8", "replace"))


def _fields(head: str) -> dict[str, str]:
    """Header fields, of which some are folded into several lines (RFC 5322 2.2.3)."""
    lines = (line.partition(":") for line in _FOLD.sub(" ", head).splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in lines if colon}
