"""Bodies of several parts: `multipart/related` (RFC 2387, PS3.18 8.6.1.2)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote

from gateway.errors import Malformed
from gateway.wire.dicomweb.media_types import parsed
from gateway.wire.dicomweb.parts import Event, PartBegins, PartEnds, PartsReader

PART_END: Final = b"\r\n"
_OF_URLS: Final = ":/?#[]@!$&'()*+,;=%"
"""RFC 3986 2.2."""


class BodyPart(NamedTuple):
    """A part of a body: its whole Content-Type, and its bytes."""

    content_type: str
    content: bytes


class Writer:
    """A body of several parts that is written part by part. `content_type`: of each part, without its parameters."""

    def __init__(self, content_type: str) -> None:
        self.boundary = uuid.uuid4().hex
        self.content_type = f'multipart/related; type="{content_type}"; boundary={self.boundary}'

    def head(self, content_type: str, location: str = "") -> bytes:
        """What stands before the content of a part; behind it comes `PART_END`. `location`: a URL, of which what a URL
        does not hold is percent-encoded: a UID is what its sender wrote."""
        where = f"Content-Location: {quote(location, safe=_OF_URLS)}\r\n" if location else ""
        return f"--{self.boundary}\r\nContent-Type: {content_type}\r\n{where}\r\n".encode("ascii")

    @property
    def end(self) -> bytes:
        """What stands behind the last part."""
        return f"--{self.boundary}--\r\n".encode("ascii")


def write(parts: Iterable[bytes], content_type: str) -> tuple[str, bytes]:
    """The Content-Type and the body of parts that are all of one type."""
    writer = Writer(content_type)
    head = writer.head(content_type)
    return writer.content_type, b"".join(head + part + PART_END for part in parts) + writer.end


class WholeParts:
    """The parts of a body that is still arriving: `feed` what comes, then `finish`; both give what has ended.
    Raises `Malformed`, also for a part of more than `most` bytes (None: of any length)."""

    def __init__(self, content_type: str, most: int | None = None) -> None:
        self._reader = PartsReader(parsed(content_type)[1].get("boundary", ""))
        self._most = most
        self._type = ""
        self._content = bytearray()

    def feed(self, data: bytes) -> Iterator[BodyPart]:
        """The parts that these bytes end."""
        return self._whole(self._reader.feed(data))

    def finish(self) -> Iterator[BodyPart]:
        """The body is at its end."""
        return self._whole(self._reader.finish())

    def _whole(self, events: Iterable[Event]) -> Iterator[BodyPart]:
        for event in events:
            if isinstance(event, PartBegins):
                self._type, self._content = event.headers.get("content-type", ""), bytearray()
            elif isinstance(event, PartEnds):
                yield BodyPart(self._type, bytes(self._content))
            else:
                self._content += event
                if self._most is not None and len(self._content) > self._most:
                    raise Malformed(f"a part of more than {self._most} bytes", place="body")


def read(content_type: str, body: bytes) -> list[BodyPart]:
    """The parts of a body. Raises `Malformed`."""
    parts = WholeParts(content_type)
    return [*parts.feed(body), *parts.finish()]
