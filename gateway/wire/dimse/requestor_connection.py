"""The connection of a requestor and its protocol machine: `upper_layer` decides, this carries its effects out.

Every error names the peer; what a peer does against the protocol, and its silence, are `Unavailable`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from gateway.errors import GatewayError, Unavailable
from gateway.wire.dimse import pdu, requestor_pdu
from gateway.wire.dimse.command import RESPONSE, CommandFault
from gateway.wire.dimse.framer import Framer
from gateway.wire.dimse.message import Assembler, DimseMessage
from gateway.wire.dimse.negotiation import AcceptedContext
from gateway.wire.dimse.pdu import Body, PduFault
from gateway.wire.dimse.requestor_pdu import Acceptance, Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_taking import RESPONSES_ALONE, Serve, Taking
from gateway.wire.dimse.upper_layer import ACTIONS, AbortReason, Effect, Event, State, transition

MAX_BYTES: Final = 131072
"""The longest P-DATA-TF that peers are asked to send."""
WAITING_RESPONSES: Final = 64
"""More are not read before somebody takes them."""
FAREWELL_SECONDS: Final = 1.0
"""For the peer to close its end after an A-ABORT (Sta13)."""
_Result = TypeVar("_Result")
_READ_BYTES: Final = 256 * 1024
_USER_ABORTS: Final = 0
_PROVIDER_ABORTS: Final = 2


class RequestorConnection:
    """Between the network and whoever asks; responses wait in `_responses`, None behind the last of them."""

    def __init__(
        self,
        peer: RequestedPeer,
        proposals: Sequence[Proposal],
        serve: Serve | None = None,
        taking: Taking = RESPONSES_ALONE,
    ) -> None:
        self.peer = peer
        self.serve = serve
        self.state = State.STA1
        self.acceptance = Acceptance()
        self._proposals = proposals
        self._framer = Framer(MAX_BYTES)
        self._assembler = Assembler(
            taking.max_bytes,
            lambda message: taking.file_for(message, self._context(message)),
            lambda message: taking.enough_of(message, self._context(message)),
        )
        self._responses: asyncio.Queue[DimseMessage | None] = asyncio.Queue(WAITING_RESPONSES)
        self._answered = asyncio.Event()
        self._reason = AbortReason.NOT_SPECIFIED
        self._failure: GatewayError | None = None
        self._reading: asyncio.Task[None] | None = None
        self._message_id = 0
        self._patience: asyncio.Timeout | None = None
        """Begins anew whenever the peer sends something, or has been answered."""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @property
    def _is_over(self) -> bool:
        return self.state is State.STA1

    async def _connect(self) -> None:
        peer = self.peer
        opening = asyncio.open_connection(
            peer.host, peer.port, ssl=peer.tls, ssl_handshake_timeout=peer.timeouts.connect if peer.tls else None
        )
        try:
            async with asyncio.timeout(peer.timeouts.connect):
                self._reader, self._writer = await opening
        except TimeoutError as error:
            why = f"cannot be reached (no connection within {peer.timeouts.connect:g} s)"
            raise Unavailable(why, place=peer.place) from error
        except ssl.SSLError as error:
            raise Unavailable(f"no TLS with it ({error.reason or error})", place=peer.place) from error
        except (OSError, UnicodeError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
            raise Unavailable(f"cannot be reached ({why})", place=peer.place) from error
        with suppress(OSError):
            self._writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # What comes

    async def _read(self) -> None:
        while not self._is_over:
            data = b""
            with suppress(OSError):
                data = await self._reader.read(_READ_BYTES)
            if not data:
                self._on(Event.EVT17)
                return
            self._be_patient(self.peer.timeouts.response)
            self._framer.feed(data)
            try:
                while not self._is_over and (taken := self._framer.take()) is not None:
                    await self._take(*taken)
            except (PduFault, CommandFault) as fault:
                self._fail(Unavailable(f"against the protocol: {fault}", place=self.peer.place))
                self._reason = getattr(fault, "reason", AbortReason.NOT_SPECIFIED)
                self._on(Event.EVT19)

    async def _take(self, event: Event, body: Body) -> None:
        if event is Event.EVT3 and self.state is State.STA5:
            self.acceptance = requestor_pdu.read_associate_ac(bytes(body), self._proposals)
        is_of_use = event is Event.EVT10 and self.state in (State.STA6, State.STA7)
        self._on(event, body)
        if is_of_use:
            await self._take_fragments(body)

    async def _take_fragments(self, body: Body) -> None:
        accepted = {one.context_id for one in self.acceptance.contexts}
        for fragment in pdu.fragments(body):
            if fragment.context_id not in accepted:
                why = f"presentation context {fragment.context_id} has not been accepted"
                raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, why)
            message = self._assembler.add(fragment)
            if message is None and self._assembler.must_write:
                message = await asyncio.to_thread(self._assembler.write)
            if message is None:
                continue
            if self.serve is None or message.command.field & RESPONSE:
                await self._responses.put(message)
            else:
                await self._serve(self.serve, message)

    async def _serve(self, serve: Serve, message: DimseMessage) -> None:
        """Answer what the peer asks over this association, which waits for us meanwhile."""
        self._be_patient(None)
        try:
            response = await serve(message, self._context(message), self.peer.called_ae)
        finally:
            message.close()
        if self.is_established:
            limit = self.acceptance.max_bytes
            self._on(Event.EVT9, pdu.p_data(message.context_id, response, is_command=True, max_bytes=limit))
        self._be_patient(self.peer.timeouts.response)

    def _context(self, message: DimseMessage) -> AcceptedContext:
        return next(one for one in self.acceptance.contexts if one.context_id == message.context_id)

    @property
    def is_established(self) -> bool:
        """Whether a request can be sent."""
        return self.state is State.STA6

    # The protocol machine

    def _on(self, event: Event, body: Body = b"") -> None:
        action, self.state = transition(self.state, event, is_requestor=True)
        if event is not Event.EVT19:
            self._reason = AbortReason.UNEXPECTED_PDU
        for effect in ACTIONS[action]:
            if effect not in _SEEN_TO:
                _EFFECTS[effect](self, body)

    def _send_associate_rq(self, body: Body) -> None:
        peer = self.peer
        request = requestor_pdu.associate_rq(
            peer.calling_ae, peer.called_ae, self._proposals, peer.implementation, MAX_BYTES
        )
        self._writer.write(request)

    def _issue_acceptance(self, body: Body) -> None:
        self._answered.set()

    def _issue_rejection(self, body: Body) -> None:
        self._fail(requestor_pdu.rejection(bytes(body), self.peer.place))

    def _issue_release(self, body: Body) -> None:
        self._fail(Unavailable("the association was released by the peer", place=self.peer.place))
        self._on(Event.EVT14)

    def _issue_abort(self, body: Body) -> None:
        self._fail(requestor_pdu.abortion(bytes(body), self.peer.place))
        self._writer.transport.abort()  # what has not been sent is of no use

    def _issue_p_abort(self, body: Body) -> None:
        text = "the connection was closed" if self.state is State.STA1 else "against the protocol: a PDU out of place"
        self._fail(Unavailable(text, place=self.peer.place))

    def _fail(self, error: GatewayError) -> None:
        """Whoever waits for an answer gets the first error."""
        self._failure = self._failure or error
        self._answered.set()
        with suppress(asyncio.QueueFull):
            self._responses.put_nowait(None)

    def _write(self, data: bytes) -> None:
        self._writer.write(data)

    def _send_user_abort(self, body: Body) -> None:
        self._writer.write(pdu.abort(_USER_ABORTS, 0))

    def _send_provider_abort(self, body: Body) -> None:
        self._writer.write(pdu.abort(_PROVIDER_ABORTS, self._reason))

    def _send_release_rq(self, body: Body) -> None:
        self._writer.write(pdu.RELEASE_RQ)

    def _send_release_rp(self, body: Body) -> None:
        self._writer.write(pdu.RELEASE_RP)

    def _close(self, body: Body) -> None:
        self._writer.close()

    def _be_patient(self, seconds: float | None) -> None:
        """Wait for so long from now on; None: for as long as it takes."""
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    async def _in_time(
        self, awaited: Awaitable[_Result], seconds: float, what: str, *, while_active: bool = False
    ) -> _Result:
        try:
            async with asyncio.timeout(seconds) as patience:
                self._patience = patience if while_active else None
                return await awaited
        except TimeoutError as error:
            self.abort()
            raise self._failure or Unavailable(f"{what} within {seconds:g} s", place=self.peer.place) from error
        finally:
            self._patience = None

    def _lost(self) -> GatewayError:
        return self._failure or Unavailable("the association is over", place=self.peer.place)

    def abort(self) -> None:
        """A-ABORT of the service-user."""
        if self.state in _TO_ABORT:
            self._on(Event.EVT15)

    async def end(self) -> None:
        """Abort what has not been released, and let go of the connection."""
        self.abort()
        try:
            if self.state is State.STA13:
                await self._wait_for_end(FAREWELL_SECONDS)
        finally:
            # Whoever is cancelled meanwhile leaves nothing open either.
            self._writer.transport.abort()
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.wait([self._reading])
            self._assembler.close()

    async def _wait_for_end(self, seconds: float) -> None:
        """Give the peer time to read what was sent, and to close."""
        if self._reading is not None:
            while not self._responses.empty():
                self._responses.get_nowait()
            await asyncio.wait([self._reading], timeout=seconds)


_TO_ABORT: Final = (State.STA5, State.STA6, State.STA7, State.STA9, State.STA11)
_EFFECTS: Final[dict[Effect, Callable[[RequestorConnection, Any], None]]] = {
    Effect.SEND_ASSOCIATE_RQ: RequestorConnection._send_associate_rq,
    Effect.SEND_P_DATA: RequestorConnection._write,
    Effect.SEND_RELEASE_RQ: RequestorConnection._send_release_rq,
    Effect.SEND_RELEASE_RP: RequestorConnection._send_release_rp,
    Effect.SEND_USER_ABORT: RequestorConnection._send_user_abort,
    Effect.SEND_PROVIDER_ABORT: RequestorConnection._send_provider_abort,
    Effect.ISSUE_ACCEPTANCE: RequestorConnection._issue_acceptance,
    Effect.ISSUE_REJECTION: RequestorConnection._issue_rejection,
    Effect.ISSUE_RELEASE: RequestorConnection._issue_release,
    Effect.ISSUE_ABORT: RequestorConnection._issue_abort,
    Effect.ISSUE_P_ABORT: RequestorConnection._issue_p_abort,
    Effect.CLOSE: RequestorConnection._close,
}
_SEEN_TO: Final = frozenset(
    {
        Effect.OPEN_TRANSPORT,
        Effect.ISSUE_P_DATA,
        Effect.ISSUE_RELEASE_CONFIRMATION,
        Effect.START_ARTIM,
        Effect.STOP_ARTIM,
    }
)
"""Effects that the code around the machine sees to: what it waits for has a time of its own."""
