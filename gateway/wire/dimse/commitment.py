"""Storage Commitment Push Model over DIMSE (PS3.4 Annex J): requests and reports as data, and reports over the
association on which their request came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple

from pydicom.dataset import Dataset
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined,unused-ignore]

from gateway.errors import Unavailable
from gateway.wire.dimse import command
from gateway.wire.dimse.association import Association
from gateway.wire.dimse.command import Command
from gateway.wire.dimse.encoding import encoded_dataset
from gateway.wire.dimse.identifier import Identifier
from gateway.wire.dimse.policy import Caller
from gateway.wire.dimse.requestor_operations import Response
from gateway.wire.dimse.statuses import NO_SUCH_EVENT, NO_SUCH_INSTANCE, DimseFailure

PUSH_MODEL: Final = str(StorageCommitmentPushModel)
INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance that every request and report is about (PS3.4 J.3.5)."""
REQUEST: Final = 1
"""Action Type ID (PS3.4 Table J.3-1)."""


class OpenAssociation:
    """The association over which a peer has asked for something, for reports to that peer."""

    def __init__(self, association: Association, context_id: int) -> None:
        self._association = association
        self._context_id = context_id

    @property
    def is_open(self) -> bool:
        """Whether a report can be sent; not any more when it cannot now."""
        return self._association.can_ask

    async def report(self, event_type: int, attributes: Dataset, seconds: float) -> Response:
        """N-EVENT-REPORT; the response within `seconds`. Raises `Unavailable`."""
        if self._association.agreement is None:
            raise Unavailable("the association is over")
        syntax = self._association.agreement.contexts[self._context_id].transfer_syntax
        data = await asyncio.to_thread(encoded_dataset, attributes, syntax)
        request = partial(_report, event_type)
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
