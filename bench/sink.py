"""An EHR that takes everything at once: announces conditional updates, keeps what came last, notes when bytes came."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from types import TracebackType
from typing import Final, Self

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STATEMENT: Final = (
    b'{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","rest":[{"mode":"server","resource":[{"type":'
    b'"ImagingStudy","conditionalUpdate":true,"interaction":[{"code":"update"},{"code":"search-type"}]}]}]}'
)
_NOTHING: Final = b'{"resourceType":"Bundle","type":"searchset","total":0}'


class Sink:
    """`async with Sink() as sink:`; PUT to `sink.url`, then see `arrived` and `arrived_at` (`time.perf_counter`)."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived = asyncio.Event()
        self.arrived_at = 0.0
        self.body_bytes = 0
        self.puts = 0
        self._version = 0
        self._id = 1
        self._held = b""

    async def __aenter__(self) -> Self:
        self._versions = itertools.count(1)
        self._ids = itertools.count(1)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/fhir"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                size = int(length[1]) if length else 0
                body = await reader.readexactly(size)
                if not head.startswith(b"PUT"):
                    writer.write(self._read(head))
                    continue
                self.arrived_at = time.perf_counter()
                self.body_bytes = size
                self.puts += 1
                self._version = next(self._versions)
                self._held = body
                if b"?identifier=" in head.partition(b"\r\n")[0]:
                    # Each conditional update is of a resource that is not there yet.
                    self._id = next(self._ids)
                place = b"Location: /fhir/ImagingStudy/%d/_history/%d\r\n" % (self._id, self._version)
                writer.write(_answer(b"201 Created", b"", place + self._tag()))
                self.arrived.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _read(self, head: bytes) -> bytes:
        if b"/metadata" in head[:64]:
            return _answer(b"200 OK", _STATEMENT)
        if b"/ImagingStudy/1 " not in head[:64] or not self._held:
            return _answer(b"200 OK", _NOTHING)
        # The gateway reads what stands there before it writes again.
        identity = b'{"id":"1","meta":{"versionId":"%d"},' % self._version
        return _answer(b"200 OK", identity + self._held[1:], self._tag())

    def _tag(self) -> bytes:
        return b'ETag: W/"%d"\r\n' % self._version


def _answer(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    kind = b"Content-Type: application/fhir+json\r\n" if body else b""
    return b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, kind, headers, len(body), body)
