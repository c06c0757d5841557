"""Connections to a syslog receiver. Neither protocol acknowledges: what was handed to the network counts as sent."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

from gateway.errors import Unavailable
from gateway.wire.syslog.message import octet_counted

MOST_UDP_BYTES: Final = 65_507 - 28
"""A datagram over IPv4 holds no more (RFC 5426 3.2)."""


class SyslogSender(Protocol):
    """Sends messages to one receiver."""

    async def open(self) -> bool:
        """Have a connection; whether it is a new one, so that what the one before was given last may be lost.

        Raises `Unavailable`.
        """

    async def send(self, messages: Sequence[bytes]) -> None:
        """Hand them to the network, in their order.

        Raises `Unavailable`, also without a message when the connection was lost meanwhile; then any of them, and of
        those before, may have arrived or not.
        """

    async def close(self) -> None:
        """Close the connection."""


class TlsSyslog:
    """Over TLS with octet counting (RFC 5425), or over bare TCP with the same frames where `tls` is None.

    The connection stays open, and is made anew when it was lost.
    """

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None, timeout: float) -> None:
        self._host, self._port, self._tls, self._timeout = host, port, tls, timeout
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> bool:
        """See `SyslogSender.open`."""
        if self._writer is not None and not self._is_closed(self._writer):
            return False
        await self.close()
        async with self._limited("no connection"):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        return True

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `SyslogSender.send`."""
        async with self._limited("no room for a message"):
            # A connection that the receiver has closed takes bytes all the same, and they are lost.
            if self._writer is None or self._is_closed(self._writer):
                raise ConnectionResetError("the receiver has closed the connection")
            self._writer.write(b"".join(map(octet_counted, messages)))
            await self._writer.drain()

    @asynccontextmanager
    async def _limited(self, what: str) -> AsyncIterator[None]:
        place = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            await self.close()
            raise Unavailable(f"{what} within {self._timeout:g} s", place=place) from error
        except OSError as error:
            await self.close()
            raise Unavailable(_reason(error), place=place) from error

    def _is_closed(self, writer: asyncio.StreamWriter) -> bool:
        """A receiver sends nothing: what comes is the end."""
        assert self._reader is not None
        return self._reader.at_eof() or self._reader.exception() is not None or writer.is_closing()

    async def close(self) -> None:
        """Close the connection; nothing happens without one."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            return
        writer.close()
        try:
            async with asyncio.timeout(1.0):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass


class UdpSyslog:
    """A datagram for each message (RFC 5426). What is lost on the way nobody knows, and what is too long for a datagram
    is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._socket: socket.socket | None = None

    async def open(self) -> bool:
        """See `SyslogSender.open`."""
        if self._socket is not None:
            return False
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            # Connected: a host on which nobody listens tells so.
            self._socket.connect(address)
        except OSError as error:
            await self.close()
            raise self._unavailable(error) from error
        return True

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `SyslogSender.send`."""
        loop = asyncio.get_running_loop()
        try:
            if self._socket is None:
                raise ConnectionResetError("there is no socket")
            if error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error))
            for message in messages:
                await loop.sock_sendall(self._socket, message[:MOST_UDP_BYTES])
        except OSError as error:
            await self.close()
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(_reason(error), place=f"{self._host}:{self._port}")

    async def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return str(getattr(error, "reason", None) or error.strerror or error)
