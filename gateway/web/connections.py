"""One HTTP connection around aiohttp's own protocol: how long each part of a request may take.

aiohttp waits for ever for a head, for a body, and for a peer that does not read; here each has its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import web

from gateway.wire.places import HeldPlace, Phase

TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
"""For who gets no place."""


@dataclass(frozen=True, slots=True)
class HttpTimes:
    head_seconds: float = 10.0
    """From the opening of a connection, or the first byte of a further request, to the end of the head."""
    body_seconds: float = 60.0
    """From the end of the head to the end of the body, or to each further piece where a body may be of any length; and
    how long an answer may wait for a peer that does not read."""


class SlowBody(web.HTTPRequestTimeout, TimeoutError):
    """408 to the handler that waits for the body; to aiohttp, which drains it afterwards, an end of waiting."""


class HttpConnection(asyncio.Protocol):
    """Hands everything to `inner` and watches the time.

    cut: called with `head`, `body` or `answer` and the peer's address when a connection ends because that took too
    long.
    """

    def __init__(
        self, inner: web.RequestHandler, place: HeldPlace, times: HttpTimes, cut: Callable[[str, str], None]
    ) -> None:
        self._inner = inner
        self._place = place
        self._times = times
        self._cut = cut
        self._has_begun = False
        """Of the present request at least a byte has come."""
        self._body: Any = None
        """Of the request at work."""
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        """While the peer does not read."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._place.end = self._transport.abort
        self._wait(self._times.head_seconds, self._slow_head)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._place.phase is Phase.IDLE:
            self._place.stand(Phase.BEGINNING)
            self._wait(self._times.head_seconds, self._slow_head)
        self._has_begun = True
        self._inner.data_received(data)
        # Behind a body that has not ended aiohttp queues nothing but its error of a broken chunk, of which the handler,
        # who waits for the body, never learns.
        if self._body is not None and not self._body.is_eof() and self._inner._messages:
            self._body.set_exception(web.RequestPayloadError("broken transfer coding"))

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        loop = asyncio.get_running_loop()
        self._reading = loop.call_later(self._times.body_seconds, self._slow_reader)
        self._place.stand(Phase.WORKING)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_reading_timer()
        if self._body is None:
            self._place.stand(Phase.IDLE)
        self._inner.resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop()
        self._stop_reading_timer()
        self._place.leave()
        self._inner.connection_lost(exc)

    async def answer(
        self, request: web.BaseRequest, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """What `handler` answers a request whose head has come."""
        self._place.stand(Phase.WORKING)
        self._stop()
        self._body = request.content
        if not self._body.is_eof():
            self._wait(self._times.body_seconds, self._slow_body)
            self._body.on_eof(self._stop)
        try:
            return await handler(request)
        finally:
            self._stop()
            self._body, self._has_begun = None, False
            self._place.stand(Phase.IDLE)

    def body_goes_on(self) -> None:
        """More of the body has come: the rest has as long as the whole had."""
        if self._body is not None and not self._body.is_eof():
            self._wait(self._times.body_seconds, self._slow_body)

    def _wait(self, seconds: float, late: Callable[[], None]) -> None:
        self._stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _slow_head(self) -> None:
        assert self._transport is not None
        if self._has_begun:
            self._transport.write(TOO_SLOW)
            self._cut("head", self._place.address)
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._transport.abort()

    def _slow_body(self) -> None:
        self._cut("body", self._place.address)
        self._body.set_exception(SlowBody(text="the body of the request took too long"))

    def _slow_reader(self) -> None:
        assert self._transport is not None
        self._cut("answer", self._place.address)
        self._transport.abort()


def body_goes_on(request: web.BaseRequest) -> None:
    """As `HttpConnection.body_goes_on`, for the connection of a request; nothing where it has none."""
    if (connection := _of(request)) is not None:
        connection.body_goes_on()


def _of(request: web.BaseRequest) -> HttpConnection | None:
    connection = request.transport.get_protocol() if request.transport is not None else None
    return connection if isinstance(connection, HttpConnection) else None


def watch(server: web.Server) -> None:
    """Let the requests of `server` pass through the `HttpConnection` that they came by."""
    handler = server.request_handler

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if (connection := _of(request)) is not None:
            return await connection.answer(request, handler)
        return await handler(request)

    server.request_handler = handle
