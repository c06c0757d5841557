"""An instance that a peer sends by C-STORE (PS3.7 9.1.1), over its association or ours, and what it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.dicom_encoding import Encoded
from gateway.wire.dimse import command
from gateway.wire.dimse.data_set import DataSetFile
from gateway.wire.dimse.message import DimseMessage
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.statuses import OUT_OF_RESOURCES, STORE_STATUSES, SUCCESS, DimseFailure, comment_of, status_of


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE request: UIDs from the command set, `data` the encoded data set as it came, or its
    beginning where headers only are kept: bytes, or, of a long one, a map of the file it waits in, which is
    gone when the handler returns."""

    caller: Caller
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data: Encoded
    begins_at: int = 0
    """Where in `data` the data set begins."""
    file: DataSetFile | None = field(default=None, compare=False)
    """Which `data` is a map of."""


StoreHandler = Callable[[StoreRequest], Awaitable[None]]
"""Returns when the instance is safe: that is the Success."""


async def answer_store(handler: StoreHandler, caller: Caller, message: DimseMessage, transfer_syntax: str) -> bytes:
    """Hand an instance over; the command set of the response."""
    stated = message.command
    request = StoreRequest(
        caller=caller,
        sop_class_uid=stated.sop_class,
        sop_instance_uid=stated.sop_instance,
        transfer_syntax_uid=transfer_syntax,
        data=message.data_set,
        begins_at=message.file.begins_at if message.file is not None else 0,
        file=message.file,
    )
    try:
        if message.lost:
            raise DimseFailure(OUT_OF_RESOURCES, f"the data set cannot be kept: {message.lost}")
        await handler(request)
    except Exception as error:
        status = status_of(error, STORE_STATUSES)
        return command.response(stated, status, comment=comment_of(error), instance=stated.sop_instance)
    return command.response(stated, SUCCESS, instance=stated.sop_instance)
