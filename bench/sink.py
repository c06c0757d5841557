"""An HTTP receiver that only reads: it says when the last byte of a request came, and 201."""

from __future__ import annotations

import asyncio
import re
import time
from types import TracebackType
from typing import Self

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 201 Created\r\nLocation: /fhir/ImagingStudy/1/_history/1\r\nContent-Length: 0\r\n\r\n"


class Sink:
    """`async with Sink() as sink:`; PUT to `sink.url`, then see `arrived` and `arrived_at` (`time.perf_counter`)."""

    def __init__(self) -> None:
        self.url = ""
        self.arrived = asyncio.Event()
        self.arrived_at = 0.0
        self.body_bytes = 0

    async def __aenter__(self) -> Self:
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
                length = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
                self.body_bytes = int(length[1]) if length else 0
                await reader.readexactly(self.body_bytes)
                self.arrived_at = time.perf_counter()
                self.arrived.set()
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
