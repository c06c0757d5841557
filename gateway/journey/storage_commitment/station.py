"""Keeps requests for storage commitment (PS3.4 J.3.2, PS3.18 13.4). Success follows the commit; what is decided is
reported later, or asked for (PS3.18 13.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import DuplicateKey, GatewayError, Rejected
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.long_work import beside
from gateway.mapping.elements import of_elements
from gateway.observe import metrics
from gateway.records import evidence_of
from gateway.records.commitment import CommitmentAsked, CommitmentReport, asked
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.work import Lane, WorkKind, commitments_to
from gateway.store import Store, commitments, heartbeats, outbox, refusals, settling
from gateway.wire.dimse.commitment import CommitmentRequest
from gateway.wire.dimse.statuses import ACTION_STATUSES, SUCCESS, ExplainedFailure, status_of

log = logging.getLogger(__name__)

SECOND: Final = 1_000_000


class StorageCommitment:
    """What the DIMSE server and DICOMweb call. `kind_of` gives the work that reports to a calling AE title; a report
    waits up to `wait_seconds` for instances that are not here yet."""

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
            row = await self._store.write(partial(self._reported, wanted=wanted, calling_ae=request.caller.calling_ae))
        except GatewayError as error:
            status = status_of(error, ACTION_STATUSES)
            _count(status)
            if isinstance(error, Rejected):
                source = f"{request.caller.calling_ae} {request.caller.address}"
                await self.keep_refused(source, attributes, f"N-ACTION {status:04X} {error}")
            raise ExplainedFailure(error) from error
        self._requests.add(row, request.association)
        _count(SUCCESS)

    async def begin(self, requester: str, attributes: Attributes, *, is_long: bool) -> None:
        """Keep a request whose requester (AE title) will ask for its result. Raises what `asked` raises, `DuplicateKey`
        for a Transaction UID that the requester has used, `Unavailable`. `is_long`: see `gateway.long_work`."""
        wanted = await beside(partial(asked, attributes)) if is_long else asked(attributes)
        await self._store.write(partial(self._fetched, wanted=wanted, requester=requester))

    async def result(self, requester: str, transaction_uid: str) -> CommitmentReport | None:
        """What is decided of the transaction of this requester; None while instances may come. Raises `UnknownKey`,
        `Unavailable`."""
        wanted = partial(commitments.result_of, transaction_uid=transaction_uid, calling_ae=requester)
        return await self._store.read(wanted)

    async def keep_refused(self, source: str, attributes: Attributes, reason: str) -> None:
        """Keep a refused request for whoever looks for the fault. Raises nothing of the database."""
        await refusals.keep(
            self._store,
            "request for storage commitment",
            refused_at=self._clock(),
            source=source,
            reason=reason,
            body=await beside(partial(orjson.dumps, attributes)),
        )

    def _reported(self, connection: Connection, *, wanted: CommitmentAsked, calling_ae: str) -> int:
        kept = self._kept(connection, wanted, calling_ae)
        if not kept.is_waiting:
            lane = Lane(self._kind_of(calling_ae), StudyInstanceUID(wanted.transaction_uid))
            self._enqueue(connection, kept.id, lane, {})
        return kept.id

    def _fetched(self, connection: Connection, *, wanted: CommitmentAsked, requester: str) -> None:
        kept = self._kept(connection, wanted, requester)
        if not kept.is_new:
            raise DuplicateKey("it is in use", place="Transaction UID")
        lane = Lane(commitments_to(), StudyInstanceUID(wanted.transaction_uid), performed_step=str(kept.id))
        self._enqueue(connection, kept.id, lane, {"fetched": True})

    def _kept(self, connection: Connection, wanted: CommitmentAsked, requester: str) -> commitments.Kept:
        """Keep a request; what it names is evidence of what its study holds."""
        now = self._clock()
        kept = commitments.keep(connection, wanted, calling_ae=requester, now=now)
        if kept.is_new:
            of_study = evidence_of.committed(wanted, commitments.studies_of(connection, wanted), at=now)
            if of_study is not None:
                settling.state(connection, *of_study)
        return kept

    def _enqueue(self, connection: Connection, row: int, lane: Lane, payload: dict[str, bool]) -> None:
        now = self._clock()
        until = heartbeats.steady_of(connection, now + self._wait, now=now)
        work = outbox.enqueue(
            connection, lane=lane, payload={**payload, "commitment": row, "until": until}, due_at=now, now=now
        )
        commitments.reported_by(connection, row, work)


def _count(status: int) -> None:
    metrics.COMMITMENT_REQUESTS.labels(f"{status:04X}").inc()
