"""Storage Commitment Push Model over DIMSE (PS3.4 Annex J): requests and reports as data, and reports over the
association on which their request came."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined,unused-ignore]

from gateway.dicom_encoding import Encoding, encoding_of, header, sequence
from gateway.errors import Unavailable
from gateway.long_work import beside, with_pauses
from gateway.wire.dimse import command
from gateway.wire.dimse.association import Association
from gateway.wire.dimse.command import Command
from gateway.wire.dimse.elements import DEFLATED
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.requestor_operations import Response
from gateway.wire.dimse.statuses import NO_SUCH_EVENT, NO_SUCH_INSTANCE, DimseFailure

PUSH_MODEL: Final = str(StorageCommitmentPushModel)
INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance that every request and report is about (PS3.4 J.3.5)."""
REQUEST: Final = 1
"""Action Type ID (PS3.4 Table J.3-1)."""


_TRANSACTION, _FAILED, _REFERENCED = 0x00081195, 0x00081198, 0x00081199
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197


class Stated(Protocol):
    """What a request or report states (PS3.4 Tables J.3-1, J.3-2); an instance is its SOP Class UID and SOP Instance
    UID."""

    @property
    def transaction_uid(self) -> str: ...

    @property
    def committed(self) -> Sequence[tuple[str, str]]:
        """Of a request: what it asks for."""

    @property
    def failed(self) -> Sequence[tuple[tuple[str, str], int]]:
        """With Failure Reason (0008,1197)."""


class Report(Stated, Protocol):
    """What is reported of a transaction."""

    @property
    def event_type(self) -> int: ...


def encoded(stated: Stated, transfer_syntax: str) -> bytes:
    """The data set of a request or report; without pydicom, which takes half a minute for 100,000 instances."""
    encoding = encoding_of(transfer_syntax)
    data = _uid(_TRANSACTION, stated.transaction_uid, encoding)
    if stated.failed:
        items = (_item(one, encoding) + _reason(why, encoding) for one, why in with_pauses(stated.failed))
        data += sequence(_FAILED, items, encoding)
    if stated.committed:
        items = (_item(one, encoding) for one in with_pauses(stated.committed))
        data += sequence(_REFERENCED, items, encoding)
    if transfer_syntax not in DEFLATED:
        return data
    deflator = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflator.compress(data) + deflator.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def _item(instance: tuple[str, str], encoding: Encoding) -> bytes:
    sop_class, sop_instance = instance
    return _uid(_CLASS, sop_class, encoding) + _uid(_INSTANCE, sop_instance, encoding)


def _uid(tag: int, uid: str, encoding: Encoding) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return header(encoding, tag, "UI", len(value)) + value


def _reason(reason: int, encoding: Encoding) -> bytes:
    return header(encoding, _REASON, "US", 2) + reason.to_bytes(2, "little" if encoding.little else "big")


class OpenAssociation:
    """The association over which a peer has asked for something, for reports to that peer."""

    def __init__(self, association: Association, context_id: int) -> None:
        self._association = association
        self._context_id = context_id

    @property
    def is_open(self) -> bool:
        """Whether a report can be sent; not any more when it cannot now."""
        return self._association.can_ask

    async def report(self, report: Report, seconds: float) -> Response:
        """N-EVENT-REPORT; the response within `seconds`. Raises `Unavailable`."""
        if self._association.agreement is None:
            raise Unavailable("the association is over")
        syntax = self._association.agreement.contexts[self._context_id].transfer_syntax
        data = await beside(partial(encoded, report, syntax))
        request = partial(_report, report.event_type)
        answered = await self._association.ask(self._context_id, request, data, seconds)
        return Response(
            "N-EVENT-REPORT", answered.status, answered.comment, answered.error_id, answered.sop_instance, None
        )


def _report(event_type: int, message_id: int) -> bytes:
    return command.request(
        command.N_EVENT_REPORT_RQ, message_id, PUSH_MODEL, INSTANCE, has_data_set=True, type_id=event_type
    )


class CommitmentRequest(NamedTuple):
    """An N-ACTION request with its decoded data set."""

    caller: Caller
    dataset: Identifier
    association: OpenAssociation
    is_long: bool = False
    """Work on all of its references is long work (`gateway.long_work`)."""


CommitmentHandler = Callable[[CommitmentRequest], Awaitable[None]]
"""Returns when the request is safe: that is the Success."""


class ReportedCommitment(NamedTuple):
    """An N-EVENT-REPORT with its decoded data set."""

    sender: str
    """AE title of who reports."""
    event_type: int
    dataset: Identifier
    is_long: bool = False
    """Work on all of its references is long work (`gateway.long_work`)."""


ReportHandler = Callable[[ReportedCommitment], Awaitable[None]]
"""Returns when what was reported is safe: that is the Success."""
REPORTS: Final = (1, 2)
"""Event Type IDs (PS3.4 Table J.3-2)."""


def check_report(request: Command) -> None:
    """Raises `DimseFailure` for a report that is none of Storage Commitment's."""
    if request.sop_instance != INSTANCE:
        raise DimseFailure(NO_SUCH_INSTANCE, "not the well-known SOP instance")
    if request.type_id not in REPORTS:
        raise DimseFailure(NO_SUCH_EVENT, f"no event of type {request.type_id}")
