"""Keeps requests for storage commitment (PS3.4 J.3.2). Success follows the commit; the report comes later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, Rejected
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.long_work import beside
from gateway.mapping.elements import of_elements
from gateway.observe import metrics
from gateway.records.commitment import CommitmentAsked, asked
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.work import Lane, WorkKind
from gateway.store import Store, commitments, heartbeats, outbox, refusals
from gateway.wire.dimse.commitment import CommitmentRequest
from gateway.wire.dimse.statuses import ACTION_STATUSES, SUCCESS, ExplainedFailure, status_of

log = logging.getLogger(__name__)

SECOND: Final = 1_000_000


class StorageCommitment:
    """What the DIMSE server calls. `kind_of` gives the work that reports to a calling AE title; a report waits up to
    `wait_seconds` for instances that are not here yet."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        kind_of: Callable[[str], WorkKind],
        requests: OpenRequests,
        wait_seconds: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._kind_of = kind_of
        self._requests = requests
        self._wait = round(wait_seconds * SECOND)

    async def request(self, request: CommitmentRequest) -> None:
        """N-ACTION. Raises `ExplainedFailure`."""
        read = partial(of_elements, request.dataset)
        attributes = await beside(read) if request.is_long else read()
        try:
            wanted = await beside(partial(asked, attributes)) if request.is_long else asked(attributes)
            row = await self._store.write(partial(self._keep, wanted=wanted, calling_ae=request.caller.calling_ae))
        except GatewayError as error:
            status = status_of(error, ACTION_STATUSES)
            _count(status)
            if isinstance(error, Rejected):
                await self._keep_refused(request, attributes, f"N-ACTION {status:04X} {error}")
            raise ExplainedFailure(error) from error
        self._requests.add(row, request.association)
        _count(SUCCESS)

    def _keep(self, connection: Connection, *, wanted: CommitmentAsked, calling_ae: str) -> int:
        now = self._clock()
        kept = commitments.keep(connection, wanted, calling_ae=calling_ae, now=now)
        if not kept.is_waiting:
            lane = Lane(self._kind_of(calling_ae), StudyInstanceUID(wanted.transaction_uid))
            until = heartbeats.steady_of(connection, now + self._wait, now=now)
            payload = {"commitment": kept.id, "until": until}
            work = outbox.enqueue(connection, lane=lane, payload=payload, due_at=now, now=now)
            commitments.reported_by(connection, kept.id, work)
        return kept.id

    async def _keep_refused(self, request: CommitmentRequest, attributes: Attributes, reason: str) -> None:
        await refusals.keep(
            self._store,
            "request for storage commitment",
            refused_at=self._clock(),
            source=f"{request.caller.calling_ae} {request.caller.address}",
            reason=reason,
            body=orjson.dumps(attributes),
        )


def _count(status: int) -> None:
    metrics.COMMITMENT_REQUESTS.labels(f"{status:04X}").inc()
