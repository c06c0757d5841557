"""A syslog receiver over TLS (RFC 5425) or UDP (RFC 5426) that keeps what it is sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.peers.openssl import Issued


class SyslogReceiver:
    """`messages`: each as it came, without its frame."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.port = 0
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while length := (await reader.readuntil(b" ")).strip():
                self.messages.append(await reader.readexactly(int(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    @property
    def bodies(self) -> list[bytes]:
        """The XML of each message."""
        return [message.partition(b"\xef\xbb\xbf")[2] for message in self.messages]


@asynccontextmanager
async def tls_receiver(
    issued: Issued, *, client_ca: Any = None, port: int = 0, receiver: SyslogReceiver | None = None
) -> AsyncIterator[SyslogReceiver]:
    """A receiver that shows this certificate; `client_ca`: asks for one of that authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    receiver = receiver or SyslogReceiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", port, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        receiver.cut()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receiver: SyslogReceiver) -> None:
        self._receiver = receiver

    def datagram_received(self, data: bytes, _address: Any) -> None:
        self._receiver.messages.append(data)


@asynccontextmanager
async def udp_receiver() -> AsyncIterator[SyslogReceiver]:
    receiver = SyslogReceiver()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(receiver), local_addr=("127.0.0.1", 0))
    receiver.port = transport.get_extra_info("sockname")[1]
    try:
        yield receiver
    finally:
        transport.close()
