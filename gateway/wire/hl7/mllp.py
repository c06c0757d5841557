"""The Minimal Lower Layer Protocol: `0x0B` message `0x1C 0x0D` (HL7 transport specifications).

Release 2 adds commit acknowledgements: a block of the one byte 0x06 (stored) or 0x15 (not stored) ahead of the answer.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from gateway.errors import Unavailable
from gateway.wire.access import Network, certificate_names, is_within

_START, _END, _CR, _LF = 0x0B, 0x1C, 0x0D, 0x0A
_CHUNK = 64 * 1024
_TRAILER_SECONDS = 2.0
"""How long an end byte may wait for its CR; a sender that leaves it out is then taken to be done."""
_FAREWELL_SECONDS = 5.0
"""How long a refused sender may go on sending before the connection is closed under it."""
_FAREWELL_PAUSE = 0.002
_HEAD_BYTES = 64 * 1024
"""What is handed on of a message that is too large: enough to see whose it is."""
_MAX_ANSWER_BYTES = 1024 * 1024
_HANDSHAKE_SECONDS = 15.0
_COMMIT, _NEGATIVE_COMMIT = b"\x06", b"\x15"

T = TypeVar("T")
log = logging.getLogger(__name__)


def frame(data: bytes) -> bytes:
    return b"\x0b" + data + b"\x1c\x0d"


class Deframer:
    """Finds the blocks in a stream of bytes; holds what has not been taken yet.

    An end byte counts when CR, LF or the next start byte follows; alone it is data, which some senders have.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._noise = bytearray()
        self.inside = False
        """A block has begun and not ended."""

    def __len__(self) -> int:
        return len(self._buffer) - self.ending

    @property
    def ending(self) -> bool:
        """The last byte held is an end byte, and what follows will tell whether it is one."""
        return self.inside and self._buffer.endswith(b"\x1c")

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole block, or None until more has been fed."""
        buffer = self._buffer
        if not self.inside:
            start = buffer.find(_START)
            self._noise += buffer[: start if start >= 0 else len(buffer)]
            del buffer[: start + 1 if start >= 0 else len(buffer)]
            if start < 0:
                return None
            self.inside, self._searched = True, 0
        while (end := buffer.find(_END, self._searched)) >= 0 and end + 1 < len(buffer):
            following = buffer[end + 1]
            if following in (_CR, _LF, _START):
                return self._take(end, end + (1 if following == _START else 2))
            self._searched = end + 1
        self._searched = len(buffer) if end < 0 else end
        return None

    def finish(self) -> bytes:
        """The block whose end byte is the last that came."""
        return self._take(len(self), len(self._buffer))

    def head(self, length: int) -> bytes:
        """The beginning of the block that is not complete."""
        return bytes(self._buffer[:length])

    def noise(self) -> bytes:
        """The bytes outside blocks since the last call; line ends, which many senders add, do not count."""
        noise = bytes(self._noise)
        self._noise.clear()
        return noise if noise.strip(b"\r\n") else b""

    def _take(self, end: int, after: int) -> bytes:
        block = bytes(self._buffer[:end])
        del self._buffer[:after]
        self.inside, self._searched = False, 0
        return block


@dataclass(frozen=True)
class Peer:
    """Who is at the other end."""

    host: str
    port: int
    certificate_names: tuple[str, ...] = ()
    """Common name and DNS names of the client certificate that TLS has verified."""


@dataclass(frozen=True)
class Limits:
    max_message_bytes: int
    idle_seconds: float
    """Between two messages."""
    message_seconds: float
    """From the first to the last byte of a message, and for taking its answer."""
    max_connections: int


@dataclass(frozen=True)
class Door:
    """Who is let in. What is empty lets in all."""

    tls: ssl.SSLContext | None = None
    addresses: tuple[Network, ...] = ()
    certificate_names: frozenset[str] = frozenset()

    def admits_address(self, host: str) -> bool:
        return not self.addresses or is_within(host, self.addresses)

    def admits_certificate(self, names: Sequence[str]) -> bool:
        return not self.certificate_names or not self.certificate_names.isdisjoint(names)


Answer = bytes | Sequence[bytes] | None
Handler = Callable[[bytes, Peer], Awaitable[Answer]]
RefusalHandler = Callable[[bytes, Peer, str], Awaitable[bytes | None]]


class _RefusedError(Exception):
    def __init__(self, head: bytes, reason: str) -> None:
        super().__init__(reason)
        self.head = head
        self.reason = reason


class MllpServer:
    """Answers each message of each connection in order; the next is read when the last one has been answered.

    handler: message -> the block, or blocks, that answer it; None closes the connection without one.
    on_turned_away: (peer, "connections" | "address" | "tls" | "certificate", why) of who was not let in.
    on_refused: (what arrived, peer, "too large" | "truncated" | "too slow") -> answer, then closed.
    on_noise: (peer, bytes) that stood outside blocks and were skipped.
    """

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        on_noise: Callable[[Peer, bytes], None] | None = None,
        on_refused: RefusalHandler | None = None,
        on_turned_away: Callable[[Peer, str, str], None] = lambda peer, reason, why: None,
        door: Door = Door(),
        release: int = 1,
    ) -> None:
        self._handler = handler
        self._on_turned_away = on_turned_away
        self._door = door
        self._release = release
        self._limits = limits
        self._on_noise = on_noise
        self._on_refused = on_refused
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def port(self) -> int:
        if self._server is None or not self._server.sockets:
            return 0
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        return len(self._tasks)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one. asyncio itself sets TCP_NODELAY on each connection."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_CHUNK, backlog=512)

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more, let messages in work be answered for up to `grace_seconds`, then close."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks - self._answering:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            self._tasks.clear()
        if self._server is not None:
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopping:
            writer.close()
            return
        peer = _peer(writer)
        refusal = ""
        if len(self._tasks) >= self._limits.max_connections:
            refusal, why = "connections", f"{len(self._tasks)} are open"
        elif not self._door.admits_address(peer.host):
            refusal, why = "address", "the address is not on the list"
        if refusal:
            self._on_turned_away(peer, refusal, why)
            writer.transport.abort()
            return
        if self._door.tls is not None:
            # What the client says first is for TLS, not for the reader.
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also for a task that is cancelled before it has run at all.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = await self._admitted(writer)
            if peer is not None:
                await self._converse(reader, writer, peer)
        except OSError:
            pass  # the peer went away, also between an answer and the end of it, or does not take its answers
        finally:
            await _close(writer)

    async def _admitted(self, writer: asyncio.StreamWriter) -> Peer | None:
        """The peer once TLS, if there is any, has told who it is; None when it is not let in."""
        peer = _peer(writer)
        if self._door.tls is None:
            return peer
        try:
            await writer.start_tls(self._door.tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
        except (OSError, EOFError) as error:
            self._on_turned_away(peer, "tls", _why(error))
            return None
        names = certificate_names(writer.transport)
        if not self._door.admits_certificate(names):
            self._on_turned_away(peer, "certificate", "its certificate names nobody on the list")
            return None
        return Peer(peer.host, peer.port, names)

    async def _judged(self, work: Awaitable[T | None], peer: Peer) -> T | None:
        """What a handler answers; None when it fails, which closes this connection and no other."""
        try:
            return await work
        except Exception as error:
            # The type alone: the text of an error may quote the message.
            log.error("MLLP connection from %s closed: %s", peer.host, type(error).__name__)
            return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        task = asyncio.current_task()
        assert task is not None
        deframer = Deframer()
        while not self._stopping:
            try:
                message = await self._receive(reader, deframer, peer)
                if message is None:
                    return
                self._answering.add(task)
                answers: Answer = await self._judged(self._handler(message, peer), peer)
                if self._release == 2:
                    await self._send(writer, _NEGATIVE_COMMIT if answers is None else _COMMIT)
                if answers is None:
                    return
                for answer in [answers] if isinstance(answers, bytes) else answers:
                    await self._send(writer, answer)
            except _RefusedError as refused:
                self._answering.add(task)
                await self._refuse(reader, writer, peer, refused)
                return
            finally:
                self._answering.discard(task)

    async def _receive(self, reader: asyncio.StreamReader, deframer: Deframer, peer: Peer) -> bytes | None:
        """The next message; None when the peer has closed or has been silent for too long."""
        limits = self._limits
        clock = asyncio.get_running_loop().time
        silent_at, late_at, begun = clock() + limits.idle_seconds, 0.0, False
        while True:
            message = deframer.next()
            if (noise := deframer.noise()) and self._on_noise:
                self._on_noise(peer, noise)
            if message in (_COMMIT, _NEGATIVE_COMMIT):
                # Release 2: the sender confirms an answer of ours.
                begun = False
                continue
            if message is not None:
                return self._within_limit(message)
            if len(deframer) > limits.max_message_bytes:
                raise _RefusedError(deframer.head(_HEAD_BYTES), "too large")
            if deframer.inside and not begun:
                begun, late_at = True, clock() + limits.message_seconds
            until = late_at if begun else silent_at
            if deframer.ending:
                until = min(until, clock() + _TRAILER_SECONDS)
            try:
                async with asyncio.timeout_at(until):
                    data = await reader.read(_CHUNK)
            except TimeoutError:
                return self._broken_off(deframer, "too slow")
            except ConnectionError:
                data = b""
            if not data:
                return self._broken_off(deframer, "truncated")
            deframer.feed(data)

    def _within_limit(self, message: bytes) -> bytes:
        limit = self._limits.max_message_bytes
        if len(message) > limit:
            raise _RefusedError(message[:_HEAD_BYTES], "too large")
        return message

    def _broken_off(self, deframer: Deframer, reason: str) -> bytes | None:
        if deframer.ending:
            return self._within_limit(deframer.finish())
        if deframer.inside:
            raise _RefusedError(deframer.head(self._limits.max_message_bytes), reason)
        return None

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer, refused: _RefusedError
    ) -> None:
        log.warning("MLLP message from %s refused: %s", peer.host, refused.reason)
        if self._on_refused is None:
            return
        answer: bytes | None = await self._judged(self._on_refused(refused.head, peer, refused.reason), peer)
        if self._release == 2:
            await self._send(writer, _NEGATIVE_COMMIT)
        if answer is None:
            return
        await self._send(writer, answer)
        # Closing while bytes are still arriving resets the connection, and the peer would lose the answer.
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(_FAREWELL_SECONDS):
            data = b"?"
            while data:
                data = await reader.read(_CHUNK)
                # Who goes on sending all the same does so at a pace that leaves the loop to the others.
                await asyncio.sleep(_FAREWELL_PAUSE)

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        writer.write(frame(answer))
        if writer.transport.get_write_buffer_size() == 0 and not writer.transport.is_closing():
            return
        async with asyncio.timeout(self._limits.message_seconds):
            await writer.drain()


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
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"no connection: {_said(error)}", place=self._place) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            await _close(streams[1])

    async def send(self, raw: bytes) -> bytes:
        """Send one message and return the acknowledgement that came for it."""
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
                raise Unavailable(f"no acknowledgement: {_said(error)}", place=self._place) from error
            finally:
                if not answered:
                    # An answer that comes later must not be taken for that of the next message.
                    await self.close()

    async def _exchange(self, raw: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(frame(raw))
        await writer.drain()
        while True:
            answer = self._deframer.next()
            if answer == _NEGATIVE_COMMIT:
                raise ConnectionError("the receiver could not store the message")
            if answer is not None and answer != _COMMIT:
                return answer
            if answer is None:
                data = await reader.read(_CHUNK)
                if not data and self._deframer.ending:
                    return self._deframer.finish()
                if not data or len(self._deframer) > _MAX_ANSWER_BYTES:
                    raise ConnectionError("answer too large" if data else "connection closed by the receiver")
                self._deframer.feed(data)


def _said(error: BaseException) -> str:
    return "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def _why(error: BaseException) -> str:
    """What went wrong in a handshake; OpenSSL's texts hold nothing that the peer sent."""
    return getattr(error, "reason", None) or str(error) or type(error).__name__


def _peer(writer: asyncio.StreamWriter) -> Peer:
    address = writer.get_extra_info("peername") or ("", 0)
    return Peer(address[0], address[1])


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close within a second, whether the peer takes what is still to be sent or not."""
    writer.close()
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
