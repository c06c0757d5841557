"""An MLLP listener on asyncio: takes messages of many connections, each answered in its turn."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from gateway.wire.access import Network, certificate_names, is_within
from gateway.wire.hl7.mllp import COMMIT, NEGATIVE_COMMIT
from gateway.wire.hl7.mllp_framing import CHUNK_BYTES, MllpPeer, close, frame, peer_of, refusal_of
from gateway.wire.hl7.mllp_incoming import IncomingMessages, MllpLimits, RefusedError
from gateway.wire.listening import Listening
from gateway.wire.patience import Patience
from gateway.wire.places import Denial, HeldPlace, Phase, Places
from gateway.wire.shared_port import SharedPort

T = TypeVar("T")

log = logging.getLogger(__name__)

_FAREWELL_SECONDS = 5.0
"""How long a refused sender may go on sending before the connection is closed under it."""

_FAREWELL_PAUSE = 0.002

_HANDSHAKE_SECONDS = 15.0

FIRST_BYTE_SECONDS: Final = 5.0
"""A connection that is older than this and has not begun a message goes when another needs its place; one that has been
silent for so long since its last answer, when another of its address does."""


@dataclass(frozen=True)
class ListenerAccess:
    """Who is let in. What is empty lets in all."""

    tls: ssl.SSLContext | None = None
    addresses: tuple[Network, ...] = ()
    certificate_names: frozenset[str] = frozenset()

    def admits_address(self, host: str) -> bool:
        return not self.addresses or is_within(host, self.addresses)

    def admits_certificate(self, names: Sequence[str]) -> bool:
        return not self.certificate_names or not self.certificate_names.isdisjoint(names)


Answer = bytes | Sequence[bytes] | None

Handler = Callable[[bytes, MllpPeer], Awaitable[Answer]]

RefusalHandler = Callable[[bytes, MllpPeer, str], Awaitable[bytes | None]]


class MllpServer:
    """Answers each message of each connection in order; the next is read when the last one has been answered.

    handler: message -> the block, or blocks, that answer it; None closes the connection without one.
    on_turned_away: (peer, why, the same in words) of who was not let in.
    on_refused: (what arrived, peer, "too large" | "truncated" | "too slow") -> answer, then closed.
    on_noise: (peer, bytes) that stood outside blocks and were skipped.
    """

    def __init__(
        self,
        handler: Handler,
        limits: MllpLimits,
        *,
        on_noise: Callable[[MllpPeer, bytes], None] = lambda peer, noise: None,
        on_refused: RefusalHandler | None = None,
        on_turned_away: Callable[[MllpPeer, Denial, str], None] = lambda peer, denial, why: None,
        access: ListenerAccess = ListenerAccess(),
        release: int = 1,
    ) -> None:
        self._handler = handler
        self._on_turned_away = on_turned_away
        self._access = access
        self._release = release
        self._limits = limits
        self._on_noise = on_noise
        self._on_refused = on_refused
        self.places = Places(limits.max_connections, limits.max_connections_per_address, patience=FIRST_BYTE_SECONDS)
        self._listening = Listening(
            "MLLP", self._protocol, self.places, admits=access.admits_address, turned_away=self._turned_away
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def port(self) -> int:
        return self._listening.port

    @property
    def connections(self) -> int:
        return len(self._tasks)

    async def start(self, host: str, port: int, shared: SharedPort | None = None) -> None:
        """Listen; port 0 takes a free one. asyncio itself sets TCP_NODELAY on each connection.

        `shared`: what listens there already, for several processes.
        """
        await self._listening.start(host, port, shared=shared)

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more, let messages in work be answered for up to `grace_seconds`, then close."""
        self._stopping = True
        self._listening.close()
        for task in self._tasks - self._answering:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            self._tasks.clear()

    def _turned_away(self, host: str, port: int, denial: Denial) -> None:
        why = "the address is not on the list" if denial is Denial.ADDRESS else f"{len(self.places)} are open"
        self._on_turned_away(MllpPeer(host, port), denial, why)

    def _protocol(self, place: HeldPlace) -> asyncio.BaseProtocol:
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        return asyncio.StreamReaderProtocol(reader, partial(self._accept, place))

    def _accept(self, place: HeldPlace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._stopping:
            place.leave()
            writer.close()
            return
        if self._access.tls is not None:
            # What the client says first is for TLS, not for the reader.
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        task = asyncio.create_task(self._serve(place, reader, writer))
        place.end = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Also for a task that is cancelled before it has run at all.
        task.add_done_callback(lambda _: self._end(place, writer))

    @staticmethod
    def _end(place: HeldPlace, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        place.leave()

    async def _serve(self, place: HeldPlace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = await self._admitted(writer)
            if peer is not None:
                with closing(Patience()) as patience:
                    incoming = IncomingMessages(self._limits, reader, place, patience, partial(self._on_noise, peer))
                    await self._converse(place, incoming, reader, writer, peer)
        except OSError:
            pass  # the peer went away, also between an answer and the end of it, or does not take its answers
        finally:
            await close(writer)

    async def _admitted(self, writer: asyncio.StreamWriter) -> MllpPeer | None:
        """The peer, once a TLS handshake, if there is one, has named it; None when it is not let in."""
        peer = peer_of(writer)
        if self._access.tls is None:
            return peer
        try:
            await writer.start_tls(self._access.tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
        except (OSError, EOFError) as error:
            self._on_turned_away(peer, Denial.TLS, refusal_of(error))
            return None
        names = certificate_names(writer.transport)
        if not self._access.admits_certificate(names):
            self._on_turned_away(peer, Denial.CERTIFICATE, "its certificate names nobody on the list")
            return None
        return MllpPeer(peer.host, peer.port, names)

    async def _judged(self, work: Awaitable[T | None], peer: MllpPeer) -> T | None:
        """What a handler answers; None when it fails, which closes this connection and no other."""
        try:
            return await work
        except Exception as error:
            # The type alone: the text of an error may quote the message.
            log.error("MLLP connection from %s closed: %s", peer.host, type(error).__name__)
            return None

    async def _converse(
        self,
        place: HeldPlace,
        incoming: IncomingMessages,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: MllpPeer,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping:
            try:
                message = await incoming.next()
                if message is None:
                    return
                place.stand(Phase.WORKING)
                self._answering.add(task)
                if not await self._answer(message, writer, peer):
                    return
                place.stand(Phase.SILENT)
            except RefusedError as refused:
                self._answering.add(task)
                await self._refuse(reader, writer, peer, refused)
                return
            finally:
                self._answering.discard(task)

    async def _answer(self, message: bytes, writer: asyncio.StreamWriter, peer: MllpPeer) -> bool:
        """Whether the message was answered; what is not answered closes the connection."""
        answers: Answer = await self._judged(self._handler(message, peer), peer)
        if self._release == 2:
            await self._send(writer, NEGATIVE_COMMIT if answers is None else COMMIT)
        if answers is None:
            return False
        for answer in [answers] if isinstance(answers, bytes) else answers:
            await self._send(writer, answer)
        return True

    async def _refuse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: MllpPeer, refused: RefusedError
    ) -> None:
        log.warning("MLLP message from %s refused: %s", peer.host, refused.reason)
        if self._on_refused is None:
            return
        answer: bytes | None = await self._judged(self._on_refused(refused.head, peer, refused.reason), peer)
        if self._release == 2:
            await self._send(writer, NEGATIVE_COMMIT)
        if answer is None:
            return
        await self._send(writer, answer)
        # Closing while bytes are still arriving resets the connection, and the peer would lose the answer.
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(_FAREWELL_SECONDS):
            data = b"?"
            while data:
                data = await reader.read(CHUNK_BYTES)
                # Who goes on sending all the same does so at a pace that leaves the loop to the others.
                await asyncio.sleep(_FAREWELL_PAUSE)

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        writer.write(frame(answer))
        if writer.transport.get_write_buffer_size() == 0 and not writer.transport.is_closing():
            return
        async with asyncio.timeout(self._limits.message_seconds):
            await writer.drain()
