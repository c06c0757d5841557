# Long: one state machine with its transport; its parts share every field.
"""One association of an acceptor: a connection, its protocol machine, and the operation at work on it.

Everything happens on the event loop. The protocol machine (`upper_layer`) decides, this carries its effects out. Of
the requests on one association one is worked on at a time; behind it one more may wait, then no more is taken, and
soon no more is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, Final, Protocol

from pynetdicom.pdu_primitives import A_ASSOCIATE

from gateway.errors import Unavailable
from gateway.wire.dimse import command, pdu
from gateway.wire.dimse.command import RESPONSE, Command, CommandFault
from gateway.wire.dimse.data_set import DataSetFile, IsEnough
from gateway.wire.dimse.framer import Framer
from gateway.wire.dimse.message import Assembler, DimseMessage
from gateway.wire.dimse.negotiation import AcceptedContext, Agreement
from gateway.wire.dimse.pdu import Body, Fragment, PduFault
from gateway.wire.dimse.policy import Rejection
from gateway.wire.dimse.upper_layer import ACTIONS, AbortReason, Effect, Event, State, transition
from gateway.wire.places import HeldPlace, Phase

log = logging.getLogger(__name__)

FLUSH_BYTES: Final = 64 * 1024
"""Responses are gathered up to this before they are handed to the network."""
WRITE_BUFFER_BYTES: Final = 256 * 1024
"""What a peer may leave unread before its operation has to wait."""
MAX_WAITING: Final = 1
READ_AHEAD_BYTES: Final = 64 * 1024
"""What is read of a peer behind its requests in waiting."""
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_USER_ABORTS: Final = 0
_PROVIDER_ABORTS: Final = 2


Operation = Callable[["Association", DimseMessage], Awaitable[None]]


class Owner(Protocol):
    """What an association asks of its server."""

    artim_seconds: float
    idle_seconds: float
    farewell_seconds: float
    max_bytes: int
    max_data_set_bytes: int

    def file_for(self, association: Association, message: DimseMessage) -> DataSetFile:
        """Where the data set of a message waits that is too long for memory. Called in a thread; may block."""

    def enough_of(self, association: Association, message: DimseMessage) -> IsEnough | None:
        """What says how much of the data set of a message is wanted; None: all of it."""

    def connected(self, association: Association) -> None: ...

    def asked(self, association: Association, request: A_ASSOCIATE, version: int) -> Agreement | Rejection: ...

    def established(self, association: Association) -> None: ...

    def ended(self, association: Association) -> None: ...

    def operation(self, association: Association, message: DimseMessage) -> Operation | None:
        """What answers a request; None when it has been answered already."""


class Association(asyncio.BufferedProtocol):
    """Made for each connection. What it is for is known once it is `agreement`."""

    def __init__(self, owner: Owner, place: HeldPlace) -> None:
        self._owner = owner
        self.place = place
        """Of the connection, among all that the server may have."""
        self.state = State.STA1
        self.agreement: Agreement | None = None
        self._framer = Framer(owner.max_bytes)
        self._assembler = Assembler(
            owner.max_data_set_bytes, partial(owner.file_for, self), partial(owner.enough_of, self)
        )
        self._fragments: deque[Fragment] = deque()
        """Of the PDU that was read last; more than none only while the disk is waited for."""
        self._writing: asyncio.Future[DimseMessage | None] | None = None
        self._waiting: deque[DimseMessage] = deque()
        self._work: asyncio.Task[None] | None = None
        self._working_on: DimseMessage | None = None
        self._has_begun = False
        self.is_cancelled = False
        """A C-CANCEL has come for the operation at work."""
        self._asked: dict[int, asyncio.Future[Command]] = {}
        """Message ID -> who waits for the response to what was asked of the peer."""
        self._message_id = 0
        self._out: list[Body] = []
        self._out_bytes = 0
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._artim: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._last_traffic = 0.0
        self._reason = AbortReason.NOT_SPECIFIED
        self._request: A_ASSOCIATE | None = None
        self._answer: Agreement | Rejection | None = None
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self.closed = asyncio.Event()

    # The connection

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @property
    def transport(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("not connected")
        return self._transport

    @property
    def address(self) -> str:
        name = self.transport.get_extra_info("peername")
        return str(name[0]) if name else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._last_traffic = self._loop.time()
        self.place.end = transport.abort
        self._owner.connected(self)
        self._on(Event.EVT5)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._framer.room()

    def buffer_updated(self, size: int) -> None:
        self._last_traffic = self._loop.time()
        self._framer.filled(size)
        self._read_on()
        self._acknowledge_now()

    def _acknowledge_now(self) -> None:
        """A peer without TCP_NODELAY holds the rest of a PDU or message back until its beginning has been acknowledged.

        The kernel falls back to delaying by itself, so this is asked for after every read: to ask only while a rest is
        to come is slower for DCMTK's clients (docs/performance.md).
        """
        if _QUICKACK is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _read_on(self) -> None:
        """Take the PDUs that are there, while there is room for what they may ask."""
        while self._has_room and self.state is not State.STA1:
            try:
                if (taken := self._framer.take()) is None:
                    return
                event, body = taken
                if event is Event.EVT6 and self.state is State.STA2:
                    self._request = pdu.read_associate_rq(bytes(body))
                self._on(event, body)
            except PduFault as fault:
                self._fail(fault)
        # Only who reads notices that the peer is gone.
        if not self._has_room and self._framer.waiting_bytes >= READ_AHEAD_BYTES:
            self.transport.pause_reading()

    @property
    def _has_room(self) -> bool:
        return self._writing is None and len(self._waiting) < MAX_WAITING

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._last_traffic = self._loop.time()
        self._may_write.set()
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        if self.state is not State.STA1:
            self._on(Event.EVT17)
        self._stop_artim()
        if self._idle is not None:
            self._idle.cancel()
        self._end_work()
        if self._writing is None:
            self._assembler.close()
        self._may_write.set()
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(Unavailable("the association is over", place=self.address))
        self.closed.set()
        self.place.leave()
        self._owner.ended(self)

    # The protocol machine

    def _on(self, event: Event, body: Body = b"") -> None:
        action, self.state = transition(self.state, event)
        if event is not Event.EVT19:
            self._reason = AbortReason.UNEXPECTED_PDU
        for effect in ACTIONS[action]:
            _EFFECTS[effect](self, body)

    def _issue_associate(self, body: Body) -> None:
        assert self._request is not None
        self._answer = self._owner.asked(self, self._request, pdu.protocol_version(bytes(body)))
        self._on(Event.EVT8 if isinstance(self._answer, Rejection) else Event.EVT7)

    def _send_associate_ac(self, body: Body) -> None:
        assert isinstance(self._answer, Agreement)
        self.agreement = self._answer
        self.transport.write(pdu.associate_ac(self.agreement.primitive))
        self._watch_idleness()
        self.place.stand(Phase.WORKING)
        self._owner.established(self)

    def _send_associate_rj(self, body: Body) -> None:
        assert isinstance(self._answer, Rejection)
        self.transport.write(pdu.associate_rj(*self._answer[:3]))

    def _issue_p_data(self, body: Body) -> None:
        self._fragments.extend(pdu.fragments(body))
        self._take_fragments()

    def _take_fragments(self) -> None:
        assert self.agreement is not None
        try:
            while self._fragments and self._writing is None:
                fragment = self._fragments.popleft()
                if fragment.context_id not in self.agreement.contexts:
                    reason = f"presentation context {fragment.context_id} has not been accepted"
                    raise PduFault(AbortReason.INVALID_PDU_PARAMETER_VALUE, reason)
                message = self._assembler.add(fragment)
                if message is not None:
                    self._take(message)
                elif self._assembler.must_write:
                    self._fragments = deque(one._replace(data=memoryview(bytes(one.data))) for one in self._fragments)
                    self._writing = self._loop.run_in_executor(None, self._assembler.write)
                    self._writing.add_done_callback(self._written)
        except CommandFault as fault:
            log.warning("DICOM association with %s: %s", self.address, fault)
            self._fragments.clear()
            self.abort()

    def _written(self, writing: asyncio.Future[DimseMessage | None]) -> None:
        """The disk has taken what waited: go on with the fragments and PDUs that came meanwhile."""
        self._writing = None
        message = writing.result()
        if self.state is State.STA1 or self._transport is None or self._transport.is_closing():
            if message is not None:
                message.close()
            self._assembler.close()
            return
        self._last_traffic = self._loop.time()
        try:
            if message is not None:
                self._take(message)
            self._take_fragments()
        except PduFault as fault:
            self._fail(fault)
        self._go_on()

    def _fail(self, fault: PduFault) -> None:
        log.warning("DICOM association with %s: %s", self.address, fault)
        self._fragments.clear()
        self._reason = fault.reason
        self._on(Event.EVT19)

    def _issue_release(self, body: Body) -> None:
        if self.state is State.STA8 and not self.is_busy:
            self._on(Event.EVT14)

    def _issue_release_confirmation(self, body: Body) -> None:
        if self.state is State.STA12:
            self._on(Event.EVT14)

    def _send_p_data(self, body: Body) -> None:
        if not self._out and self._work is not None:
            self._loop.call_soon(self.flush)  # at the latest when the operation waits for something
        self._out.append(body)
        self._out_bytes += len(body)

    def _send_release_rq(self, body: Body) -> None:
        self.flush()
        self.transport.write(pdu.RELEASE_RQ)

    def _send_release_rp(self, body: Body) -> None:
        self.flush()
        self.transport.write(pdu.RELEASE_RP)

    def _send_user_abort(self, body: Body) -> None:
        self._send_last(pdu.abort(_USER_ABORTS, 0))
        self._end_work()

    def _send_provider_abort(self, body: Body) -> None:
        self._send_last(pdu.abort(_PROVIDER_ABORTS, self._reason))

    def _send_last(self, abort: bytes) -> None:
        """What has been gathered is not sent behind it."""
        self._out, self._out_bytes = [], 0
        self.transport.write(abort)

    def _end_of_service(self, body: Body) -> None:
        self._end_work()

    def _start_artim(self, body: Body) -> None:
        self._stop_artim()
        negotiating = self.state is State.STA2
        seconds = self._owner.artim_seconds if negotiating else self._owner.farewell_seconds
        self._artim = self._loop.call_later(seconds, self._artim_expired)

    def _artim_expired(self) -> None:
        self._on(Event.EVT18)

    def _stop_artim(self, body: Body = b"") -> None:
        if self._artim is not None:
            self._artim.cancel()
            self._artim = None

    def _close(self, body: Body) -> None:
        self.transport.close()
        # What a peer does not read must not keep its connection.
        self._artim = self._loop.call_later(self._owner.farewell_seconds, self.transport.abort)

    # Idleness

    def _watch_idleness(self) -> None:
        self._idle = self._loop.call_at(self._last_traffic + self._owner.idle_seconds, self._look_for_traffic)

    def _look_for_traffic(self) -> None:
        """Who waits for our answer is not idle; who does not read it is."""
        is_ours_to_act = self.is_busy and self._may_write.is_set()
        if is_ours_to_act:
            self._last_traffic = self._loop.time()
        if self.seconds_quiet() < self._owner.idle_seconds:
            self._watch_idleness()
        else:
            log.warning("DICOM association with %s ended: no traffic", self.address)
            self.abort()

    def seconds_quiet(self) -> float:
        """Since bytes last came or went."""
        return self._loop.time() - self._last_traffic

    # The operation

    @property
    def is_established(self) -> bool:
        return self.state in (State.STA6, State.STA7, State.STA8, State.STA10, State.STA12)

    @property
    def is_busy(self) -> bool:
        return self._work is not None or self._writing is not None or bool(self._waiting)

    def context(self, message: DimseMessage) -> AcceptedContext:
        assert self.agreement is not None
        return self.agreement.contexts[message.context_id]

    def _take(self, message: DimseMessage) -> None:
        if message.command.field == command.C_CANCEL_RQ:
            self._cancel(message.command.message_id)
        elif message.command.field & RESPONSE:
            self._take_response(message)
        elif self.state is State.STA7:
            message.close()  # nothing can be answered after an A-RELEASE request
        else:
            self._waiting.append(message)
            self._begin_waiting()

    def _take_response(self, message: DimseMessage) -> None:
        """Raises `CommandFault`. Nobody waits any more for a response that comes late."""
        message.close()
        waiting = self._asked.pop(message.command.message_id, None)
        if waiting is None:
            raise CommandFault(f"a response ({message.command.field:04X}) to what nobody has asked")
        if not waiting.done():
            waiting.set_result(message.command)

    def _cancel(self, message_id: int) -> None:
        """A C-CANCEL for another operation, or for one that is over, has no effect (PS3.7 9.3.2.3)."""
        if self._work is None or self._working_on is None or self.is_cancelled:
            return
        if self._working_on.command.message_id == message_id and self._working_on.command.field == command.C_FIND_RQ:
            self.is_cancelled = True
            if self._has_begun:
                self._work.cancel()

    def _begin_waiting(self) -> None:
        while self._waiting and self._work is None and self._may_write.is_set():
            message = self._waiting.popleft()
            operation = self._owner.operation(self, message)
            if operation is None:
                self.flush()
                message.close()
            else:
                self.is_cancelled, self._working_on, self._has_begun = False, message, False
                self._work = self._loop.create_task(self._run(message, operation))

    async def _run(self, message: DimseMessage, operation: Operation) -> None:
        self._has_begun = True
        try:
            await operation(self, message)
            self.flush()
        except asyncio.CancelledError:
            pass  # the association has ended
        except Exception as error:
            log.error("DICOM operation failed: %s", type(error).__name__)
            self.abort()
        finally:
            message.close()
            self._work = self._working_on = None
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self.state is State.STA1 or self._transport is None or self._transport.is_closing():
            return
        self._begin_waiting()
        self._read_on()
        if self._has_room:
            self._transport.resume_reading()
        if self.state is State.STA8 and not self.is_busy:
            self._on(Event.EVT14)

    def _end_work(self) -> None:
        if self._work is not None:
            self._work.cancel()
        while self._waiting:
            self._waiting.popleft().close()
        self.transport.resume_reading()

    # What operations and the server do

    def respond(self, message: DimseMessage, response: bytes, data_set: bytes | None = None) -> None:
        """Send a command set and its data set; nothing once the association is over."""
        if self.state not in (State.STA6, State.STA8):
            return
        assert self.agreement is not None
        limit = self.agreement.max_bytes
        sent = pdu.p_data(message.context_id, response, is_command=True, max_bytes=limit)
        if data_set is not None:
            sent += pdu.p_data(message.context_id, data_set, is_command=False, max_bytes=limit)
        self._on(Event.EVT9, sent)

    async def ask(
        self, context_id: int, request: Callable[[int], bytes], data_set: bytes | None, seconds: float
    ) -> Command:
        """Ask the peer for something (an N-EVENT-REPORT), beside what it asks; the response within `seconds`.

        `request` makes the command set of a Message ID. Raises `Unavailable`.
        """
        if not self.can_ask or self.agreement is None:
            raise Unavailable("the association is over", place=self.address)
        self._message_id = self._message_id % 0xFFFF + 1
        answered: asyncio.Future[Command] = self._loop.create_future()
        self._asked[self._message_id] = answered
        limit = self.agreement.max_bytes
        self._on(Event.EVT9, pdu.p_data(context_id, request(self._message_id), is_command=True, max_bytes=limit))
        if data_set is not None:
            self._on(Event.EVT9, pdu.p_data(context_id, data_set, is_command=False, max_bytes=limit))
        try:
            async with asyncio.timeout(seconds):
                await self.drain()
                return await answered
        except TimeoutError as error:
            raise Unavailable(f"no response within {seconds:g} s", place=self.address) from error

    @property
    def can_ask(self) -> bool:
        """Whether the association is established and neither end is about to release it."""
        return self.state is State.STA6

    @property
    def is_full(self) -> bool:
        """Time to `drain`."""
        return self._out_bytes >= FLUSH_BYTES

    def flush(self) -> None:
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
            self._last_traffic = self._loop.time()
        self._out, self._out_bytes = [], 0

    async def drain(self) -> None:
        """Hand over what has been gathered; wait until the peer has read enough, and let others have a turn."""
        self.flush()
        await asyncio.sleep(0)
        await self._may_write.wait()

    def release(self) -> None:
        """A-RELEASE request: end in good order."""
        if self.state is State.STA6:
            self._on(Event.EVT11)

    def abort(self) -> None:
        """A-ABORT request; of a connection that is no association, its end."""
        if self.is_established or self.state is State.STA3:
            self._on(Event.EVT15)
        elif self._transport is not None:
            self._transport.abort()


_EFFECTS: Final[dict[Effect, Callable[[Association, Body], Any]]] = {
    Effect.SEND_ASSOCIATE_AC: Association._send_associate_ac,
    Effect.SEND_ASSOCIATE_RJ: Association._send_associate_rj,
    Effect.SEND_P_DATA: Association._send_p_data,
    Effect.SEND_RELEASE_RQ: Association._send_release_rq,
    Effect.SEND_RELEASE_RP: Association._send_release_rp,
    Effect.SEND_USER_ABORT: Association._send_user_abort,
    Effect.SEND_PROVIDER_ABORT: Association._send_provider_abort,
    Effect.ISSUE_ASSOCIATE: Association._issue_associate,
    Effect.ISSUE_P_DATA: Association._issue_p_data,
    Effect.ISSUE_RELEASE: Association._issue_release,
    Effect.ISSUE_RELEASE_CONFIRMATION: Association._issue_release_confirmation,
    Effect.ISSUE_ABORT: Association._end_of_service,
    Effect.ISSUE_P_ABORT: Association._end_of_service,
    Effect.START_ARTIM: Association._start_artim,
    Effect.STOP_ARTIM: Association._stop_artim,
    Effect.CLOSE: Association._close,
}
