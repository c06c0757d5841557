"""Sends what modalities have stated of a performed step to another MPPS SCP, in order for each step (PS3.4 F.7), and
notifications of studies to who wants them (PS3.4 R.3).

An answer that was lost makes the request be sent again. The peer then has it already: a duplicate of an N-CREATE, and
an N-SET of a step that is final, count as done where the peer's own step is as stated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsPerson, Unavailable, Unexplained, UnsupportedType
from gateway.mapping.attributes import from_dataset, to_dataset
from gateway.observe import metrics
from gateway.records.audit import Actor, ActorKind, exported
from gateway.records.order import Attributes
from gateway.records.step_request import RequestVerdict, StepRequest, verdict
from gateway.records.work import Work
from gateway.store import audit
from gateway.store.outbox_claims import Done
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.requestor import RequestedAssociation
from gateway.wire.dimse.requestor_operations import AVAILABILITY, MPPS, MPPS_RETRIEVE, Response
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

CHARACTER_SET: Final = "ISO_IR 192"
"""Of every data set: an N-SET must have that of its N-CREATE (PS3.4 F.7.2.2.2)."""
_PASSING: Final[dict[RequestVerdict, type[GatewayError]]] = {
    RequestVerdict.RETRY: Unavailable,
    RequestVerdict.DOUBT: Unexplained,
}
"""Errors of the answers after which a request is sent again."""
_LABELS: Final = {AVAILABILITY: "IAN"}
"""SOP class -> what its requests are counted as, where that is not the operation."""
_SAME: Final = {
    "N-CREATE": ("PerformedProcedureStepID", "PerformedStationAETitle", "PerformedProcedureStepStartDate"),
    "N-SET": ("PerformedProcedureStepStatus",),
}
"""What the peer's step must have as stated, to be taken for ours."""


class StepForwarding:
    """`forward` is what the worker calls for the destination `name`: its performed steps, or what else `sop_class`
    is.
    """

    def __init__(self, name: str, requestor: Requestor, breaker: Breaker, clock: Clock, sop_class: str = MPPS) -> None:
        self._name = name
        self._clock = clock
        self._requestor = requestor
        self._breaker = breaker
        self._sop_class = sop_class

    async def forward(self, work: Work, lease: Lease) -> Done:
        """Send a request. Raises `Unavailable` when the destination gives no answer, or is at its limits, and
        `NeedsPerson` when it refuses the request."""
        request = StepRequest.of(work.payload)
        try:
            async with self._requestor.association() as association:
                response = await _sent(association, self._sop_class, request, lease)
                outcome = verdict(request.operation, response.status, response.error_id)
                kept = await _kept(association, request.sop_uid) if outcome is RequestVerdict.ASK else None
        except GatewayError as error:
            raise self._breaker.failure(error, Unavailable) from error
        self._breaker.answered()
        metrics.STEP_REQUESTS_SENT.labels(
            self._name, _LABELS.get(self._sop_class, request.operation), f"{response.status:04X}"
        ).inc()
        if outcome is RequestVerdict.DONE:
            return Done({"status": f"{response.status:04X}", "what": request.operation}, self._audited(request))
        if outcome is RequestVerdict.ASK and _is_there(request, kept, is_repeated=bool(work.attempts)):
            note = "the destination had it already"
            outcome_of_peer = {"status": f"{response.status:04X}", "what": request.operation, "note": note}
            return Done(outcome_of_peer, self._audited(request))
        raise response.failure(self._requestor.peer.place, _PASSING.get(outcome, NeedsPerson))

    def _audited(self, request: StepRequest) -> Callable[[Connection], None]:
        patient = str(request.attributes.get("PatientID") or "")
        peer = self._requestor.peer
        event = exported(
            Actor(self._name, ActorKind.ARCHIVE, peer.place), self._clock(), patients=(patient,) if patient else (),
            performed_step=request.sop_uid, what=request.operation,
        )  # fmt: skip
        return partial(audit.record, happened=event)


async def _sent(association: RequestedAssociation, sop_class: str, request: StepRequest, lease: Lease) -> Response:
    dataset = await asyncio.to_thread(to_dataset, request.attributes)
    dataset.SpecificCharacterSet = CHARACTER_SET
    send = operations.create if request.operation == "N-CREATE" else operations.set_
    await lease.confirm()
    return await send(association, sop_class, request.sop_uid, dataset)


async def _kept(association: RequestedAssociation, sop_uid: str) -> Attributes | None:
    """The destination's own step; None where it does not tell."""
    try:
        response = await operations.get(association, MPPS_RETRIEVE, sop_uid)
    except UnsupportedType:
        return None
    return None if response.dataset is None else from_dataset(response.dataset)


def _is_there(request: StepRequest, kept: Attributes | None, *, is_repeated: bool) -> bool:
    """Whether the destination has what the request states; of one that does not tell, whether it was sent before."""
    if kept is None:
        return is_repeated
    return all(kept.get(one, "") == request.attributes.get(one, "") for one in _SAME[request.operation])
