"""C-GET and C-MOVE of the Study Root model as a service class user (PS3.4 C.4.2, C.4.3). What a C-GET brings comes over
the association of the request, on which the requestor is the SCP of storage (PS3.7 D.3.3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from pynetdicom import AllStoragePresentationContexts

from gateway.errors import Malformed
from gateway.wire.dimse import command
from gateway.wire.dimse.command import SubOperations
from gateway.wire.dimse.data_set import IsEnough, UnnamedFile
from gateway.wire.dimse.header import has_header
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import TRANSFER_SYNTAXES, AcceptedContext
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.receiving import StoreHandler, answer_store
from gateway.wire.dimse.requestor import RequestedAssociation, associated
from gateway.wire.dimse.requestor_operations import NAMES, PLAIN, context_for, proposals
from gateway.wire.dimse.requestor_pdu import MAX_CONTEXTS, Proposal
from gateway.wire.dimse.requestor_peer import RequestedPeer
from gateway.wire.dimse.requestor_query import FIND, GET, MOVE, PENDING, Keys, Level, ask, failure, identifier_of
from gateway.wire.dimse.requestor_taking import Taking
from gateway.wire.dimse.statuses import SUCCESS, UNRECOGNIZED_OPERATION

WARNING: Final = 0xB000
"""Sub-operations are complete, and some of them failed or ended with a warning."""
_FAILED_UIDS: Final = 0x00080058
"""Failed SOP Instance UID List."""
_ALL: Final = [str(one.abstract_syntax) for one in AllStoragePresentationContexts]
_OTHER_SYNTAXES: Final = tuple(one for one in TRANSFER_SYNTAXES if one not in PLAIN)


class Retrieved(NamedTuple):
    """How a C-GET or C-MOVE ended: with Success, or with the warning that not all sub-operations succeeded."""

    status: int
    sub_operations: SubOperations
    """As the last answer that stated any."""
    failed: tuple[str, ...]
    """Failed SOP Instance UID List, where stated."""


def retrieving(
    peer: RequestedPeer,
    sop_classes: Iterable[str],
    store: StoreHandler,
    *,
    max_bytes: int,
    temporary_folder: Path | None = None,
) -> AbstractAsyncContextManager[RequestedAssociation]:
    """An association for C-FIND, C-GET and what it brings: instances of `sop_classes`, in any transfer syntax; without
    any, of as many storage classes as an association has room for, uncompressed.

    `store` gets the beginning of an instance where that holds its header: what follows is dropped as it comes.
    `max_bytes`: the longest data set, which waits in `temporary_folder` (None: the system's). Raises as `associated`.
    """
    caller = Caller(peer.called_ae, peer.calling_ae, peer.host)
    taking = Taking(max_bytes, lambda _message, _context: UnnamedFile(temporary_folder), _enough_of)
    wanted = proposals(FIND, GET)
    wanted += _of_storage(list(dict.fromkeys(sop_classes)), MAX_CONTEXTS - len(wanted))
    return associated(peer, wanted, partial(_serve, store, caller), taking)


def moving(peer: RequestedPeer) -> AbstractAsyncContextManager[RequestedAssociation]:
    """An association for C-FIND and C-MOVE. Raises as `associated`."""
    return associated(peer, proposals(FIND, MOVE))


def _of_storage(sop_classes: Sequence[str], room: int) -> list[Proposal]:
    """Each transfer syntax in a context of its own, so that the archive sends each instance as it has it."""
    if not sop_classes:
        return [Proposal(uid, PLAIN, is_scp=True) for uid in _ALL[:room]]
    syntaxes = (*PLAIN, *_OTHER_SYNTAXES)
    # The first syntaxes of all classes, before any has its last.
    pairs = [(uid, syntax) for syntax in syntaxes for uid in sop_classes]
    return [Proposal(uid, (syntax,), is_scp=True) for uid, syntax in pairs[:room]]


def _enough_of(message: DimseMessage, context: AcceptedContext) -> IsEnough | None:
    if message.command.field != command.C_STORE_RQ:
        return None
    return partial(has_header, transfer_syntax_uid=context.transfer_syntax)


async def _serve(
    store: StoreHandler, caller: Caller, message: DimseMessage, context: AcceptedContext, _sender: str
) -> bytes:
    if message.command.field != command.C_STORE_RQ or context.abstract_syntax in (FIND, GET):
        return command.response(message.command, UNRECOGNIZED_OPERATION)
    return await answer_store(store, caller, message, context.transfer_syntax)


async def get(association: RequestedAssociation, level: Level, keys: Keys) -> Retrieved:
    """C-GET: what it brings has been stored when it returns. `keys`: unique keys of the level and those above. Raises
    `UnsupportedType` where the archive takes no C-GET, `Unavailable` and `NeedsPerson`."""
    return await _retrieve(association, command.C_GET_RQ, GET, level, keys)


async def move(association: RequestedAssociation, level: Level, keys: Keys, destination: str) -> Retrieved:
    """C-MOVE to the storage SCP that the archive knows by the AE title `destination`. Raises as `get`."""
    return await _retrieve(association, command.C_MOVE_RQ, MOVE, level, keys, destination)


async def _retrieve(
    association: RequestedAssociation, field: int, sop_class: str, level: Level, keys: Keys, destination: str = ""
) -> Retrieved:
    context = context_for(association, sop_class)
    message_id = await ask(association, field, sop_class, level, keys, destination)
    counts = SubOperations()
    while True:
        message = await association.answer(message_id, field, NAMES[field], while_active=True)
        stated = message.command
        if any(one is not None for one in stated.sub_operations):
            counts = stated.sub_operations
        if stated.status not in PENDING:
            break
        message.close()
    failed = await _failed(message, context.transfer_syntax)
    if stated.status not in (SUCCESS, WARNING):
        raise failure(stated, association.peer.place)
    return Retrieved(stated.status, counts, failed)


async def _failed(message: DimseMessage, transfer_syntax: str) -> tuple[str, ...]:
    if not message.command.has_data_set:
        return ()
    try:
        key = (await identifier_of(message, transfer_syntax)).get(_FAILED_UIDS)
    except Malformed:
        return ()
    return key.values if key is not None else ()
