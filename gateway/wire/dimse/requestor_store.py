"""C-STORE of files over associations that serve many instances (PS3.4 Annex B, PS3.7 9.1.1).

Of each SOP Class three transfer syntaxes are proposed, each in a presentation context of its own so that the receiver
says which of them it takes: that of the file, Explicit and Implicit VR Little Endian. Nothing is transcoded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

from gateway.errors import SyntaxNotAcceptedError, UnsupportedType
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.command import MEDIUM
from gateway.wire.dimse.negotiation import AcceptedContext
from gateway.wire.dimse.requestor import RequestedAssociation
from gateway.wire.dimse.requestor_operations import PLAIN, Response
from gateway.wire.dimse.requestor_pdu import MAX_CONTEXTS, Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_reuse import IDLE_SECONDS, Requestor
from gateway.wire.part10_file import Part10File, pieces_of


class StorageRequestor:
    """Associations with a storage SCP, `associations` at once; `close` it at the end.

    What an association did not propose when it was opened is proposed by a new one, together with what was proposed
    before: after the first few instances of a site's scanners no association is opened anew.
    """

    def __init__(self, peer: RequestedPeer, *, associations: int = 1, idle_seconds: float = IDLE_SECONDS) -> None:
        self.peer = peer
        self._idle_seconds = idle_seconds
        self._wanted: dict[Proposal, None] = {}
        """In the order of their last use."""
        self._slots = [_Slot() for _ in range(associations)]
        # The last that was used is used next: while one is enough, the others stay closed.
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()
        for slot in self._slots:
            self._free.put_nowait(slot)

    async def accepts(self, sop_class_uid: str, transfer_syntax_uid: str) -> bool:
        """Whether the receiver takes the SOP Class in this transfer syntax. Raises as `store`, but for what concerns a
        file."""
        async with self._association(sop_class_uid, transfer_syntax_uid) as association:
            return transfer_syntax_uid in _accepted(association, sop_class_uid)

    async def store(self, file: Part10File, *, priority: int = MEDIUM) -> Response:
        """Send a file in its own transfer syntax; returns whatever the receiver answers.

        `priority`: of the C-STORE-RQ (PS3.7 9.1.1.1.5). Raises `SyntaxNotAcceptedError`, `UnsupportedType` where the
        receiver takes no context of the SOP Class, `Unavailable` and `Rejected` as `RequestedAssociation.open`, and
        what `pieces_of` raises.
        """
        async with self._association(file.sop_class_uid, file.transfer_syntax_uid) as association:
            accepted = _accepted(association, file.sop_class_uid)
            if (context := accepted.get(file.transfer_syntax_uid)) is not None:
                pieces = _even(pieces_of(file.path))
                return await operations.store(association, context, file.sop_instance_uid, pieces, priority=priority)
        if accepted:
            syntaxes = sorted(accepted, key=lambda one: PLAIN.index(one) if one in PLAIN else len(PLAIN))
            raise SyntaxNotAcceptedError(tuple(syntaxes), place=self.peer.place)
        raise UnsupportedType("the SOP Class is not accepted", place=self.peer.place)

    async def close(self) -> None:
        """Release the associations."""
        await asyncio.gather(*(slot.requestor.close() for slot in self._slots if slot.requestor is not None))

    @asynccontextmanager
    async def _association(self, sop_class_uid: str, transfer_syntax_uid: str) -> AsyncIterator[RequestedAssociation]:
        slot = await self._free.get()
        try:
            wanted = {Proposal(sop_class_uid, (one,)) for one in (transfer_syntax_uid, *PLAIN)}
            for one in wanted:
                self._wanted[one] = self._wanted.pop(one, None)
            if slot.requestor is None or not wanted <= slot.proposals:
                await self._renew(slot)
            assert slot.requestor is not None
            async with slot.requestor.association() as association:
                yield association
        finally:
            self._free.put_nowait(slot)

    async def _renew(self, slot: _Slot) -> None:
        if slot.requestor is not None:
            await slot.requestor.close()
        while len(self._wanted) > MAX_CONTEXTS:
            del self._wanted[next(iter(self._wanted))]
        slot.proposals = frozenset(self._wanted)
        slot.requestor = Requestor(self.peer, tuple(self._wanted), idle_seconds=self._idle_seconds)


class _Slot:
    """Room for one association."""

    def __init__(self) -> None:
        self.requestor: Requestor | None = None
        self.proposals: frozenset[Proposal] = frozenset()


def _accepted(association: RequestedAssociation, sop_class_uid: str) -> dict[str, AcceptedContext]:
    """Transfer syntax -> context."""
    contexts = association.acceptance.contexts
    return {one.transfer_syntax: one for one in contexts if one.abstract_syntax == sop_class_uid}


async def _even(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces, with a byte more where the data set is of odd length, as some programs deflate: no fragment may be
    (PS3.8 E.1), and DCMTK aborts for one that is."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        yield piece
    if size % 2:
        yield b"\0"
