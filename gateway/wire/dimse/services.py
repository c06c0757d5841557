"""What is done for a request: C-ECHO, C-FIND and C-STORE (PS3.7 9.1, PS3.4 Annexes A, B, K); the DIMSE-N
operations stand in `normalized`.

Stations are plain async callables: a handler sees the request as data, and answers by returning, yielding or raising.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, cast

from pydicom.dataset import Dataset

from gateway.errors import TooLarge
from gateway.long_work import beside
from gateway.wire.dimse import command, normalized
from gateway.wire.dimse.association import Association, Operation
from gateway.wire.dimse.commitment import CommitmentHandler, ReportHandler
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.header import split_header
from gateway.wire.dimse.identifier import Identifier, decode
from gateway.wire.dimse.inflating import is_long, undeflated
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.negotiation import service_of
from gateway.wire.dimse.normalized import NotificationHandler, PerformedStepHandler, no_notifications
from gateway.wire.dimse.policy import STORAGE, WORKLIST, Caller
from gateway.wire.dimse.receiving import StoreHandler, answer_store
from gateway.wire.dimse.statuses import (
    CANCEL,
    FIND_STATUSES,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
    Pending,
    comment_of,
    status_of,
)

MAX_IDENTIFIER_BYTES: Final = 256 * 1024
"""Room for a list of 4,000 UIDs; of a deflated identifier what it inflates to."""


@dataclass(frozen=True)
class FindRequest:
    """A C-FIND request with its decoded identifier (PS3.7 9.1.2)."""

    caller: Caller
    identifier: Identifier
    transfer_syntax_uid: str
    """Of the identifier and of the answers."""
    fuzzy: bool = False
    """Fuzzy semantic matching of person names has been agreed (PS3.4 K.5.1)."""
    data: bytes = b""
    """The identifier as it came."""


class EncodedMatch(NamedTuple):
    """A response identifier that is encoded already, in the transfer syntax of its request."""

    identifier: bytes
    pending: Pending = Pending.ALL_KEYS


FindHandler = Callable[[FindRequest], AsyncIterator[Dataset | EncodedMatch]]
"""Each thing it yields is one pending response: a data set is encoded here and sent with FF00."""


class Services:
    """The operations by Command Field (0000,0100)."""

    def __init__(
        self,
        find: FindHandler,
        store: StoreHandler,
        performed_steps: PerformedStepHandler | None = None,
        notifications: NotificationHandler = no_notifications,
        commitments: CommitmentHandler | None = None,
        reports: ReportHandler | None = None,
    ) -> None:
        self._operations: Mapping[int, Operation] = {
            command.C_FIND_RQ: partial(_find, find),
            command.C_STORE_RQ: partial(_store, store),
            **(
                normalized.operations(performed_steps, notifications, commitments, reports)
                if performed_steps is not None
                else {}
            ),
        }

    def operation(self, association: Association, message: DimseMessage) -> Operation | None:
        """None: it has been answered."""
        request = message.command
        context = association.context(message)
        if request.field == command.C_ECHO_RQ:
            association.respond(message, command.response(request, SUCCESS))
            return None
        operation = self._operations.get(request.field)
        if operation is None or not _fits(request.field, context.abstract_syntax):
            association.respond(message, command.response(request, UNRECOGNIZED_OPERATION))
            return None
        if request.field not in normalized.CONTEXTS and request.sop_class != context.abstract_syntax:
            comment = "not the SOP class of its presentation context"
            association.respond(message, _response(message, SOP_CLASS_NOT_SUPPORTED, comment))
            return None
        return operation


def _fits(field: int, abstract_syntax: str) -> bool:
    if field in normalized.CONTEXTS:
        return normalized.fits(field, abstract_syntax)
    return service_of(abstract_syntax) == (STORAGE if field == command.C_STORE_RQ else WORKLIST)


def _response(message: DimseMessage, status: int, comment: str = "") -> bytes:
    is_store = message.command.field == command.C_STORE_RQ
    instance = message.command.sop_instance if is_store else ""
    return command.response(message.command, status, comment=comment, instance=instance)


async def _store(handler: StoreHandler, association: Association, message: DimseMessage) -> None:
    assert association.agreement is not None
    syntax = association.context(message).transfer_syntax
    association.respond(message, await answer_store(handler, association.agreement.caller, message, syntax))


async def _find(handler: FindHandler, association: Association, message: DimseMessage) -> None:
    try:
        await _send_matches(handler, association, message)
    except asyncio.CancelledError:
        if not association.is_cancelled:
            raise
        association.respond(message, _response(message, CANCEL))
    except Exception as error:
        response = _response(message, status_of(error, FIND_STATUSES), comment_of(error))
        association.respond(message, response)
    else:
        status = CANCEL if association.is_cancelled else SUCCESS
        association.respond(message, _response(message, status))


async def _send_matches(handler: FindHandler, association: Association, message: DimseMessage) -> None:
    if association.is_cancelled:  # in the very segment in which it came
        return
    assert association.agreement is not None
    syntax = association.context(message).transfer_syntax
    request = FindRequest(
        caller=association.agreement.caller,
        identifier=await _identifier(message, syntax),
        transfer_syntax_uid=syntax,
        fuzzy=association.agreement.fuzzy,
        data=bytes(message.data_set),
    )
    pending: dict[int, bytes] = {}
    async with aclosing(cast(Any, handler(request))) as matches:
        async for match in matches:
            if association.is_cancelled:
                return
            encoded, status = (
                match if isinstance(match, EncodedMatch) else (encoded_dataset(match, syntax), Pending.ALL_KEYS)
            )
            if status not in pending:
                pending[status] = command.response(message.command, status, has_data_set=True)
            association.respond(message, pending[status], encoded)
            if association.is_full:
                await association.drain()


async def _identifier(message: DimseMessage, transfer_syntax: str) -> Identifier:
    """Raises `Malformed`, or `TooLarge`."""
    if message.lost or len(message.data_set) > MAX_IDENTIFIER_BYTES:
        raise TooLarge("no identifier is that long", place="identifier")
    read = partial(_decoded, bytes(message.data_set), transfer_syntax)
    return await beside(read) if is_long(message.data_set, transfer_syntax) else read()


def _decoded(data: bytes, transfer_syntax: str) -> Identifier:
    data, transfer_syntax = undeflated(data, transfer_syntax, MAX_IDENTIFIER_BYTES)
    return decode(split_header(data, transfer_syntax, max_element_bytes=None), transfer_syntax)
