"""Bodies of several parts: `multipart/related` (RFC 2387, PS3.18 8.6.1.2)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final, NamedTuple
from urllib.parse import quote

from gateway.errors import Malformed

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


def read(content_type: str, body: bytes) -> list[BodyPart]:
    """The parts of a body. Raises `Malformed`."""
    # "replace": what is not ASCII in a boundary is no boundary.
    head = f"Content-Type: {content_type}\r\n\r\n".encode("ascii", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise Malformed("no parts; Content-Type names the boundary that stands between them", place="body")
    parts = [part for part in message.walk() if not part.is_multipart()]
    return [BodyPart(str(part.get("Content-Type", "")), _content(part)) for part in parts]


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
