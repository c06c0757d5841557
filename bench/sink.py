"""An EHR that takes everything at once: it announces conditional updates, keeps nothing, and says when bytes came."""

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

    async def __aenter__(self) -> Self:
        self._versions = itertools.count(1)
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
                await reader.readexactly(size)
                if not head.startswith(b"PUT"):
                    writer.write(_answer(b"200 OK", _STATEMENT if b"/metadata" in head[:64] else _NOTHING))
                    continue
                self.arrived_at = time.perf_counter()
                self.body_bytes = size
                self.puts += 1
                version = next(self._versions)
                place = b'Location: /fhir/ImagingStudy/%d/_history/%d\r\nETag: W/"%d"\r\n' % (version, version, version)
                writer.write(_answer(b"201 Created", b"", place))
                self.arrived.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _answer(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    kind = b"Content-Type: application/fhir+json\r\n" if body else b""
    return b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, kind, headers, len(body), body)
