"""Reports to who asked for storage commitment (PS3.4 J.3.3): over the association of the request while it is open, else
over an association of our own, with the SCP role.

What is reported is decided once and kept: a report that is sent again, because its answer was lost, says the same. Who
has asked over the web is sent nothing: what is decided is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsPerson, Unavailable
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.observe import metrics
from gateway.records.commitment import (
    CommitmentReport,
    FailureReason,
    Failures,
    failures_of,
    is_reported,
    not_reported,
)
from gateway.records.work import Work
from gateway.store import Store, commitments
from gateway.store.outbox_claims import Done
from gateway.wire.dimse import requestor_operations as operations
from gateway.wire.dimse.commitment import INSTANCE, PUSH_MODEL, encoded
from gateway.wire.dimse.requestor_operations import Response
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

SECOND: Final = 1_000_000
FIRST_LOOK_SECONDS: Final = 0.25
LONGEST_LOOK_SECONDS: Final = 10.0
"""Between two looks for instances that are not here yet; each twice as long after the one before."""
ELSEWHERE_SECONDS: Final = 60.0
"""For so long another gateway on this database, which may have the association, is left to report."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer listens for reports."""

    requestor: Requestor
    breaker: Breaker


class CommitmentReports:
    """`report` is what the worker calls. `address`: of the peer; None: there is none, and a report can go over the
    association of its request alone, whose answer comes within `timeout_seconds`."""

    def __init__(
        self, store: Store, requests: OpenRequests, clock: Clock, address: Address | None, timeout_seconds: float
    ) -> None:
        self._store = store
        self._requests = requests
        self._clock = clock
        self._address = address
        self._timeout = timeout_seconds

    async def report(self, work: Work, lease: Lease) -> Done:
        """Raises `Unavailable` while instances may come, and when there is no answer; `NeedsPerson` when the report is
        refused, or when there is no way to the peer."""
        commitment, until = (int(str(work.payload[one])) for one in ("commitment", "until"))
        report = await self._decided(commitment, until, work.attempts)
        if report is None:
            return Done({"note": "nothing of the transaction is kept"})
        if work.payload.get("fetched"):
            return self._done(commitment, report, {"what": "result to be asked for"})
        response = await self._over_the_same(commitment, report, lease)
        way = "same"
        if response is None or (self._address is not None and not is_reported(response.status)):
            response, way = await self._over_another(commitment, until, report, lease), "new"
        metrics.COMMITMENT_REPORTS.labels(str(report.event_type), way, f"{response.status:04X}").inc()
        if not is_reported(response.status):
            place = self._address.requestor.peer.place if self._address is not None else work.subject
            raise response.failure(place, not_reported(response.status))
        self._requests.forget(commitment)
        return self._done(commitment, report, {"status": f"{response.status:04X}", "what": "N-EVENT-REPORT"})

    def _done(self, commitment: int, report: CommitmentReport, outcome: dict[str, str]) -> Done:
        note = f"{len(report.committed)} committed, {len(report.failed)} failed"
        mark = partial(commitments.mark_reported, commitment=commitment, now=self._clock())
        return Done({**outcome, "note": note}, mark)

    async def _decided(self, commitment: int, until: int, tries: int) -> CommitmentReport | None:
        """What is reported. Raises `Unavailable` while instances may come."""
        standing = await self._store.read(partial(commitments.get, commitment=commitment))
        if standing is None:
            return None
        if not standing.is_decided:
            await self._decide(commitment, until, tries)
        return await self._store.read(partial(commitments.report_of, commitment=commitment))

    async def _decide(self, commitment: int, until: int, tries: int) -> None:
        failures, number = await self._store.read(partial(_judged, commitment=commitment))
        absent = sum(one is FailureReason.NO_SUCH_INSTANCE for one in failures.values())
        left = (until - self._store.steady()) / SECOND
        if absent and left > 0:
            pause = min(FIRST_LOOK_SECONDS * 2**tries, LONGEST_LOOK_SECONDS, left)
            text = f"{absent} of {number} instances are not here yet"
            raise Unavailable(text, place="storage commitment", retry_after=pause)
        await self._store.write(
            partial(commitments.decide, commitment=commitment, failures=failures, now=self._clock())
        )

    async def _over_the_same(self, commitment: int, report: CommitmentReport, lease: Lease) -> Response | None:
        """None: the association of the request is over, or gives no answer."""
        association = self._requests.of(commitment)
        if association is None or not association.is_open:
            return None
        await lease.confirm()
        try:
            return await association.report(report, self._timeout)
        except Unavailable:
            return None

    async def _over_another(self, commitment: int, until: int, report: CommitmentReport, lease: Lease) -> Response:
        if self._address is None:
            raise self._no_address(commitment, until)
        requestor, breaker = self._address.requestor, self._address.breaker
        try:
            async with requestor.association() as association:
                await lease.confirm()
                response = await operations.report_event(
                    association, PUSH_MODEL, INSTANCE, report.event_type, partial(encoded, report)
                )
        except GatewayError as error:
            raise breaker.failure(error, Unavailable) from error
        breaker.answered()
        return response

    def _no_address(self, commitment: int, until: int) -> GatewayError:
        left = (until - self._store.steady()) / SECOND + ELSEWHERE_SECONDS
        if self._requests.of(commitment) is None and left > 0:
            text = "another gateway may have the association of the request"
            return Unavailable(text, place="storage commitment", retry_after=min(FIRST_LOOK_SECONDS, left))
        text = "the association of the request is over, and no destination with commitment_reports is configured for it"
        return NeedsPerson(text, place="storage commitment")


def _judged(connection: Connection, *, commitment: int) -> tuple[Failures, int]:
    """Why instances of a transaction are not safe, and how many it names."""
    references = commitments.references(connection, commitment)
    held = commitments.holdings(connection, {one.sop_uid for one in references})
    return failures_of(references, held), len(references)
