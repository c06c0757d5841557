"""An MLLP client on asyncio: sends one message and waits for its acknowledgement."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from gateway.errors import Unavailable
from gateway.wire.hl7.mllp import COMMIT, NEGATIVE_COMMIT
from gateway.wire.hl7.mllp_framing import CHUNK_BYTES, Deframer, close, frame, reason_of

_MAX_ANSWER_BYTES = 1024 * 1024


class MllpClient:
    """Sends messages over one connection, one at a time. Any failure is Unavailable, and the end of it."""

    def __init__(self, host: str, port: int, *, timeout: float = 30.0, tls: ssl.SSLContext | None = None) -> None:
        """timeout: seconds, for connecting and for each acknowledgement."""
        self._tls = tls
        self._host = host
        self._port = port
        self._timeout = timeout
        self._place = f"{host}:{port}"
        self._deframer = Deframer()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, unless there is a connection that the receiver has not ended. Raises `Unavailable`."""
        if self._streams is not None and not self._streams[0].at_eof():
            return
        await self.close()
        self._deframer = Deframer()
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"no connection: {reason_of(error)}", place=self._place) from error

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            await close(streams[1])

    async def send(self, raw: bytes) -> bytes:
        """Send one message and return the acknowledgement that came for it."""
        return await self._answered(raw)

    async def receive(self) -> bytes:
        """The next block that the receiver sends, without a message of ours before it."""
        return await self._answered(None)

    async def _answered(self, raw: bytes | None) -> bytes:
        async with self._turn:
            if self._streams is None:
                raise Unavailable("the connection is closed", place=self._place)
            answered = False
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await self._exchange(raw, *self._streams)
                answered = True
                return answer
            except (OSError, TimeoutError) as error:
                raise Unavailable(f"no acknowledgement: {reason_of(error)}", place=self._place) from error
            finally:
                if not answered:
                    # An answer that comes later must not be taken for that of the next message.
                    await self.close()

    async def _exchange(self, raw: bytes | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if raw is not None:
            writer.write(frame(raw))
            await writer.drain()
        while True:
            answer = self._deframer.next()
            if answer == NEGATIVE_COMMIT:
                raise ConnectionError("the receiver could not store the message")
            if answer is not None and answer != COMMIT:
                return answer
            if answer is None:
                data = await reader.read(CHUNK_BYTES)
                if not data and self._deframer.ending:
                    return self._deframer.finish()
                if not data or len(self._deframer) > _MAX_ANSWER_BYTES:
                    raise ConnectionError("answer too large" if data else "connection closed by the receiver")
                self._deframer.feed(data)
