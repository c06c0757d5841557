"""One association with a peer that serves many requests, one after the other, and is released when nobody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.wire.dimse.requestor import RequestedAssociation
from gateway.wire.dimse.requestor_pdu import Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_taking import Serve

IDLE_SECONDS: Final = 10.0
"""After the last request; peers end idle associations themselves after 30 s or more."""


class Requestor:
    """Opens the association when it is first wanted, and anew after it was lost; `close` it at the end. `serve` answers
    what the peer asks over it."""

    def __init__(
        self,
        peer: RequestedPeer,
        proposals: Sequence[Proposal],
        *,
        idle_seconds: float = IDLE_SECONDS,
        serve: Serve | None = None,
    ) -> None:
        self.peer = peer
        self._serve = serve
        self._proposals = proposals
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._association: RequestedAssociation | None = None
        self._idling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def association(self) -> AsyncIterator[RequestedAssociation]:
        """The association, for one caller at a time; an error or a cancellation within aborts it.

        Raises what `RequestedAssociation.open` raises.
        """
        async with self._turn:
            self._wake()
            association = await self._established()
            try:
                yield association
            except BaseException:
                await self._drop()
                raise
            self._idling = asyncio.create_task(self._release_idle())

    async def close(self) -> None:
        """Release the association."""
        async with self._turn:
            self._wake()
            if self._association is not None:
                await self._association.release()
            await self._drop()

    async def _established(self) -> RequestedAssociation:
        if self._association is not None and not self._association.is_established:
            await self._drop()
        if self._association is None:
            self._association = await RequestedAssociation.open(self.peer, self._proposals, self._serve)
        return self._association

    async def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            await association.end()

    def _wake(self) -> None:
        if self._idling is not None and self._idling is not asyncio.current_task():
            self._idling.cancel()
        self._idling = None

    async def _release_idle(self) -> None:
        await asyncio.sleep(self._idle_seconds)
        await self.close()
