"""Takes the reports of archives that were asked for storage commitment (PS3.4 J.3.3), whichever way they come."""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, UnknownKey
from gateway.long_work import beside
from gateway.mapping.elements import of_elements
from gateway.observe import metrics
from gateway.records.commitment import ReportTaken, taken
from gateway.records.work import Lane, commitments_of
from gateway.store import Store, archive_commitments, outbox
from gateway.store.archive_commitments import Asked
from gateway.wire.dimse.commitment import ReportedCommitment
from gateway.wire.dimse.statuses import ExplainedFailure


class ArchiveReports:
    """`take` is what the DIMSE server calls, and associations with archives."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, reported: ReportedCommitment) -> None:
        """Keep a report. Raises `ExplainedFailure`, for a transaction that nobody has begun here as well."""
        read = partial(of_elements, reported.dataset)
        attributes: dict[str, Any] = await beside(read) if reported.is_long else read()
        try:
            report = taken(attributes)
            asked = await self._store.write(partial(self._keep, report=report))
            if asked is None:
                raise UnknownKey("there is no such transaction", place="TransactionUID")
        except GatewayError as error:
            raise ExplainedFailure(error) from error
        metrics.COMMITMENTS_GIVEN.labels(asked.destination, "committed").inc(len(report.committed))
        metrics.COMMITMENTS_GIVEN.labels(asked.destination, "failed").inc(len(report.failed))

    def _keep(self, connection: Connection, report: ReportTaken) -> Asked | None:
        now = self._clock()
        asked = archive_commitments.take(connection, report.transaction_uid, report.committed, report.failed, now=now)
        if asked is not None:
            lane = Lane(commitments_of(asked.destination), asked.study_uid)
            outbox.postpone(connection, lane, due_at=now, now=now)
        return asked
