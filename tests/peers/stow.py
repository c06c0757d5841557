"""An archive with STOW-RS, of aiohttp's server and readers, which answers as a test says and keeps what it got."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from typing import Any

import orjson
import pydicom
from aiohttp import web

Reply = Callable[[str], web.Response]
"""The answer to the instance of this SOP Instance UID."""


@dataclass(frozen=True)
class StowRequest:
    headers: dict[str, str]
    part_type: str
    content: bytes
    """Of the only part."""


@dataclass
class StowArchive:
    url: str = ""
    token: str = ""
    """Bearer token without which it answers 401; empty: it needs none."""
    answers: dict[str, list[Reply]] = field(default_factory=dict)
    """SOP Instance UID -> answers to its next requests; `stored` once there are no more."""
    came: list[str] = field(default_factory=list)
    """SOP Instance UID of each request that was read."""
    requests: list[StowRequest] = field(default_factory=list)
    held: dict[str, bytes] = field(default_factory=dict)
    """SOP Instance UID -> file, of what was answered as stored."""

    async def _store(self, request: web.Request) -> web.Response:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        message = _parsed(request.headers["Content-Type"], await request.read())
        (part,) = (one for one in message.walk() if not one.is_multipart())
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        uid = str(pydicom.dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
        self.requests.append(StowRequest(dict(request.headers), str(part["Content-Type"]), content))
        self.came.append(uid)
        answers = self.answers.get(uid)
        answer = answers.pop(0)(uid) if answers else stored()(uid)
        if answer.status in (200, 202) and b"00081199" in (answer.body or b""):  # type: ignore[operator]
            self.held[uid] = content
        return answer


def _parsed(content_type: str, body: bytes) -> Message:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("ascii")
    return BytesParser().parsebytes(head + body)


def listing(status: int, tag: str, reason_tag: str = "", reason: int | str | None = None, **headers: str) -> Reply:
    """An answer in JSON that lists the instance in the sequence `tag`."""

    def reply(uid: str) -> web.Response:
        item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
        if reason is not None:
            item[reason_tag] = {"vr": "US", "Value": [reason]}
        body = orjson.dumps({tag: {"vr": "SQ", "Value": [item]}})
        return web.Response(status=status, body=body, content_type="application/dicom+json", headers=headers)

    return reply


def stored(status: int = 200, warning: int | None = None) -> Reply:
    return listing(status, "00081199", "00081196", warning)


def failed(status: int = 409, reason: int | None = None) -> Reply:
    return listing(status, "00081198", "00081197", reason)


def plain(status: int, text: str = "", **headers: str) -> Reply:
    """An answer that lists nothing."""
    return lambda uid: web.Response(status=status, text=text, headers=headers)


def nothing_listed(status: int = 200) -> Reply:
    """What Orthanc's plugin answers to a part that it does not read."""
    body = b'{"00081198": {"vr": "SQ"}, "00081199": {"vr": "SQ"}}'
    return lambda uid: web.Response(status=status, body=body, content_type="application/dicom+json")


@asynccontextmanager
async def stow_archive(port: int = 0, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[StowArchive]:
    """Serves `/dicom-web/studies`."""
    archive, page = StowArchive(), web.Application(client_max_size=1 << 30)
    page.router.add_post("/dicom-web/studies", archive._store)
    page.router.add_route("OPTIONS", "/dicom-web/studies", _allowed(archive))
    runner = web.AppRunner(page)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
    await site.start()
    archive.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/dicom-web"
    try:
        yield archive
    finally:
        await runner.cleanup()


def _allowed(archive: StowArchive) -> Callable[[web.Request], Any]:
    async def answer(request: web.Request) -> web.Response:
        shown = not archive.token or request.headers.get("Authorization") == f"Bearer {archive.token}"
        return web.Response(status=204 if shown else 401, headers={"Allow": "POST"})

    return answer
