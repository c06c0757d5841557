"""One association of a requestor, and one operation at a time on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import Unavailable
from gateway.wire.dimse import pdu
from gateway.wire.dimse.command import RESPONSE
from gateway.wire.dimse.command import cancel as cancel_of
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.pdu import PDV_HEAD
from gateway.wire.dimse.requestor_connection import FAREWELL_SECONDS, RequestorConnection
from gateway.wire.dimse.requestor_pdu import Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_taking import RESPONSES_ALONE, Serve, Taking
from gateway.wire.dimse.upper_layer import Event, State

UNLIMITED_CHUNK: Final = 128 * 1024
"""Bytes of a fragment for a peer without a limit."""


@asynccontextmanager
async def associated(
    peer: RequestedPeer, proposals: Sequence[Proposal], serve: Serve | None = None, taking: Taking = RESPONSES_ALONE
) -> AsyncIterator[RequestedAssociation]:
    """An association for as long as the context is open: then released, after an error or a cancellation aborted.
    `serve` answers what the peer asks, whose data sets are taken as `taking` has it.

    Raises `Unavailable` when the peer cannot be reached, is silent or rejects for the moment, `Rejected` when it
    rejects for good.
    """
    association = await RequestedAssociation.open(peer, proposals, serve, taking)
    try:
        yield association
        await association.release()
    finally:
        await association.end()


class RequestedAssociation(RequestorConnection):
    """Made by `open`; `end` it in any case."""

    @classmethod
    async def open(
        cls,
        peer: RequestedPeer,
        proposals: Sequence[Proposal],
        serve: Serve | None = None,
        taking: Taking = RESPONSES_ALONE,
    ) -> RequestedAssociation:
        """Connect and associate; `serve` answers what the peer asks. Raises `Unavailable` or `Rejected`."""
        association = cls(peer, proposals, serve, taking)
        association._on(Event.EVT1)
        await association._connect()
        try:
            association._on(Event.EVT2)
            association._reading = asyncio.create_task(association._read())
            await association._in_time(association._answered.wait(), peer.timeouts.associate, "no A-ASSOCIATE response")
            if not association.is_established:
                raise association._lost()
        except BaseException:
            await association.end()
            raise
        return association

    # What is asked

    async def ask(
        self, command: Callable[[int], bytes], context_id: int, data_set: AsyncIterable[bytes] | bytes | None = None
    ) -> int:
        """Send a request; returns its Message ID. `command` makes the command set of a Message ID; a data set comes in
        pieces of any length. Raises `Unavailable`."""
        self._message_id = self._message_id % 0xFFFF + 1
        limit = self.acceptance.max_bytes
        await self._send(pdu.p_data(context_id, command(self._message_id), is_command=True, max_bytes=limit))
        if isinstance(data_set, bytes):
            await self._send(pdu.p_data(context_id, data_set, is_command=False, max_bytes=limit))
        elif data_set is not None:
            await self._stream(context_id, data_set)
        return self._message_id

    async def _stream(self, context_id: int, data_set: AsyncIterable[bytes]) -> None:
        limit = self.acceptance.max_bytes
        room = min((limit - PDV_HEAD) & ~1 if limit else UNLIMITED_CHUNK, UNLIMITED_CHUNK)
        waiting = b""
        async for piece in data_set:
            waiting = waiting + piece if waiting else piece
            # The last fragment says that it is the last, and more may come or not.
            whole = (len(waiting) - 1) // room * room
            if whole > 0:
                await self._send(pdu.p_data_parts(context_id, memoryview(waiting)[:whole], room))
                waiting = waiting[whole:]
        await self._send(pdu.p_data_of(context_id, waiting, is_last=True))

    async def _send(self, data: bytes) -> None:
        if not self.is_established:
            raise self._lost()
        try:
            self._on(Event.EVT9, data)
            await self._in_time(self._writer.drain(), self.peer.timeouts.response, "what is sent is not taken")
        except OSError:
            await self._wait_for_end(FAREWELL_SECONDS)  # the reader sees why: an A-ABORT may have come before the end
            raise self._lost() from None

    async def cancel(self, message_id: int, context_id: int) -> None:
        """C-CANCEL of the request with this Message ID; its last response is yet to come. Raises `Unavailable`."""
        cancel = pdu.p_data(context_id, cancel_of(message_id), is_command=True, max_bytes=self.acceptance.max_bytes)
        await self._send(cancel)

    async def answer(self, message_id: int, field: int, name: str, *, while_active: bool = False) -> DimseMessage:
        """The next response to a request of this Message ID and Command Field. `while_active`: it may take longer than
        `timeouts.response` while the peer sends anything else. Raises `Unavailable`."""
        if self._responses.empty() and self._failure is not None:
            raise self._failure
        message = await self._in_time(
            self._responses.get(), self.peer.timeouts.response, f"no {name} response", while_active=while_active
        )
        if message is None:
            raise self._lost()
        stated = message.command
        if stated.field != field | RESPONSE or stated.message_id != message_id:
            message.close()
            self.abort()
            raise Unavailable(f"against the protocol: no response to the {name} that waits", place=self.peer.place)
        return message

    # The end

    async def release(self) -> None:
        """A-RELEASE; of a peer that does not answer it nothing is lost."""
        if self.state is not State.STA6:
            return
        self._on(Event.EVT11)
        await self._wait_for_end(self.peer.timeouts.release)
