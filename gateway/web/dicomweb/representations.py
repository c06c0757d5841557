"""What is answered, in the media type that the client prefers; what was sent, in any that is taken."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, TypeVar

from aiohttp import hdrs, web

from gateway.errors import Malformed, TooLarge, UnsupportedType
from gateway.long_work import LONG_BYTES, beside
from gateway.web.failures import NotAcceptable
from gateway.wire.dicomweb import dicom_json, media_types, multipart, native_xml
from gateway.wire.dicomweb.dataset import Dataset, Readable
from gateway.wire.dicomweb.media_types import JSON, MULTIPART, PLAIN_JSON, PLAIN_XML, XML, Accepted, MediaType

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""As much as a data set of an N-CREATE may have."""
_READERS: Final[Mapping[str, Callable[[bytes], Dataset]]] = {
    JSON: dicom_json.read,
    PLAIN_JSON: dicom_json.read,
    XML: native_xml.read,
    PLAIN_XML: native_xml.read,
}
_READ_BYTES: Final = 256 * 1024
_PLUS: Final = re.compile(r"(?<=\w) (?=\w)")
"""A plus that is not percent-encoded is a blank in a query parameter."""
T = TypeVar("T")
PAYLOADS: Final = (JSON, XML)
"""Media types of a request's payload (PS3.18 15.1.3)."""


# What is answered


def accepted(request: web.Request) -> Accepted:
    """What the client takes. Raises `NotAcceptable` when that is no UTF-8 (8.4.1, 8.7.8)."""
    charsets = str(request.query.get("charset") or request.headers.get(hdrs.ACCEPT_CHARSET) or "")
    if not media_types.takes_utf_8(charsets):
        raise NotAcceptable("text is written in UTF-8", place=hdrs.ACCEPT_CHARSET)
    parameter = request.query.get("accept")
    lines = request.headers.getall(hdrs.ACCEPT, [])
    return Accepted(", ".join(lines) if lines else None, parameter and _PLUS.sub("+", parameter))


def preferred(request: web.Request, offered: Sequence[MediaType]) -> list[MediaType]:
    """The offered media types that the client takes, the best first. Raises `NotAcceptable` when there is none."""
    header = accepted(request)
    chosen = header.preferred(offered)
    if not chosen:
        lacks = "name a media type" if header.header is None else "none of these is served"
        raise NotAcceptable(f"{lacks}; served are {', '.join(map(str, offered))}", place=hdrs.ACCEPT)
    return chosen


def writer(media_type: MediaType) -> Callable[[Mapping[int, Readable]], bytes]:
    """What writes one data set for a media type."""
    return native_xml.write if XML in (media_type.name, media_type.type) else dicom_json.write


def results(media_type: MediaType, written: Sequence[bytes]) -> web.Response:
    """The results of a search. Raises `NotAcceptable` for several where the type holds one (PS3.19 A.1)."""
    if media_type == MediaType(XML) and len(written) > 1:
        raise NotAcceptable(
            f"{len(written)} results are several documents; accept {MediaType(MULTIPART, XML)}", place=hdrs.ACCEPT
        )
    if media_type.name == MULTIPART:
        parts = [dicom_json.array(written)] if media_type.type == JSON else written
        content_type, body = multipart.write(parts, media_type.type)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
    body = written[0] if media_type.name == XML else dicom_json.array(written)
    return web.Response(body=body, content_type=media_type.name, charset="utf-8")


# What was sent


async def payload(request: web.Request, use: Callable[[Dataset], T]) -> tuple[T, bool]:
    """What `use` makes of the data set of a body: one object or document, alone or as the one part of a multipart body;
    and whether to work on it is long work (`gateway.long_work`).

    Raises `UnsupportedType`, `TooLarge`, or `Malformed` with the place and the cure.
    """
    written = request.headers.get(hdrs.CONTENT_TYPE, "")
    _check_type(written)
    body = await _body(request)
    if len(body) > LONG_BYTES:
        return await beside(lambda: use(_read(written, body))), True
    return use(_read(written, body)), False


def _read(content_type: str, body: bytes) -> Dataset:
    name, parameters = media_types.parsed(content_type)
    if name == MULTIPART:
        parts = multipart.read(content_type, body)
        if len(parts) != 1:
            raise Malformed(f"{len(parts)} parts; send one data set", place="body")
        _check_type(parts[0].content_type)
        name, body = media_types.parsed(parts[0].content_type)[0], parts[0].content
        if name == MULTIPART:
            raise Malformed("a part is no multipart body", place="body")
    return _READERS[name](_in_utf_8(body, parameters.get("charset", "")) if name in (JSON, PLAIN_JSON) else body)


def _in_utf_8(body: bytes, charset: str) -> bytes:
    if charset.lower() in ("", "utf-8", "utf8", "us-ascii"):
        return body
    raise UnsupportedType("JSON is sent in UTF-8", place="Content-Type")


def _check_type(content_type: str) -> None:
    name = media_types.parsed(content_type)[0] if content_type else ""
    if name not in (*_READERS, MULTIPART):
        raise UnsupportedType(f"send {' or '.join(PAYLOADS)}", place="Content-Type")


async def _body(request: web.Request) -> bytes:
    return b"".join([piece async for piece in body_of(request, MAX_BODY_BYTES)])


async def body_of(request: web.Request, max_bytes: int) -> AsyncIterator[bytes]:
    """A body in pieces, as it comes. Raises `TooLarge`, or `Malformed` for one that is cut off."""
    size = 0
    try:
        async for data in request.content.iter_chunked(_READ_BYTES):
            size += len(data)
            if size > max_bytes:
                raise TooLarge(f"longer than {max_bytes} bytes", place="body")
            yield data
    except (web.RequestPayloadError, ConnectionError):
        raise Malformed("it is cut off, or not in the encoding that Content-Encoding names", place="body") from None
