"""An EHR that takes the audit trail: an AuditEvent is created there for each row.

R4 gives an AuditEvent no identifier, so that nothing can be asked of the EHR before a repeated try: what it may have
taken before an answer was lost is sent once more, and never what it has answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError, Unavailable
from gateway.operations.audit.dicom_message import AuditSource
from gateway.operations.audit.fhir_event import fhir_event
from gateway.operations.audit.receiving import event_in
from gateway.store.audit_listing import ChainRow
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.answer import HINTS

AT_ONCE: Final = 4
"""Requests; deliveries to the EHR share its connections and its pace."""
ROUNDS: Final = 5
MOST_TRIES: Final = 10
"""Of an event at which the EHR fails while it takes others."""
FAILURE: Final = 500
"""The one answer that may as well be about the event as about the EHR."""
OF_ALL_EVENTS: Final = frozenset({401, 403, 404, 405, 407, 408, 410, 423, 425, 429})
"""4xx that are no judgement of the event that was sent: login, rights, address, load."""


class EhrReceiver:
    """One EHR. `client` is that of its deliveries, with its login and TLS, and is not closed here."""

    acknowledges = True

    def __init__(self, client: FhirClient, source: AuditSource, clock: Clock, *, at_once: int = AT_ONCE) -> None:
        self._client, self._source, self._clock = client, source, clock
        self._at_once = at_once
        self._settled: dict[int, bool] = {}
        """Sequence of a row of the batch at hand -> whether it was taken; otherwise it was refused."""
        self._failures: Counter[int] = Counter()
        """Of a row, how often the EHR failed at it."""
        self._outlived: set[int] = set()
        """Rows at which the EHR failed, and others that it has taken since."""

    @property
    def most_rows(self) -> int:
        """See `AuditReceiver.most_rows`."""
        return ROUNDS * self._at_once

    async def open(self) -> bool:
        """See `AuditReceiver.open`: each request stands for itself."""
        return False

    async def send(self, rows: Sequence[ChainRow]) -> int:
        """See `AuditReceiver.send`. Of a batch that is given again only what has no answer yet is sent."""
        self._settled = {row.sequence: self._settled[row.sequence] for row in rows if row.sequence in self._settled}
        waiting = [row for row in rows if row.sequence not in self._settled]
        error: Unavailable | None = None
        for at in range(0, len(waiting), self._at_once):
            answers = await asyncio.gather(*map(self._create, waiting[at : at + self._at_once]))
            errors = list(filter(None, answers))
            error = next(iter(errors), error)
            if any(one.details["status"] != FAILURE for one in errors):
                break
        if error is not None:
            raise error
        self._failures.clear()
        self._outlived.clear()
        return sum(not taken for taken in self._settled.values())

    async def close(self) -> None:
        """See `AuditReceiver.close`: the client is its owner's."""

    async def _create(self, row: ChainRow) -> Unavailable | None:
        """Create one event; the error that says nothing against the event itself."""
        try:
            await self._client.create(fhir_event(event_in(row, self._clock), self._source))
        except GatewayError as error:
            status = int(error.details.get("status") or 0)
            if self._is_refusal(row.sequence, status):
                self._settled[row.sequence] = False
                return None
            # What the EHR writes may speak of a patient, and this goes to the log.
            reason = f"HTTP {status} {HINTS.get(status, '')}".rstrip() if status else error.message
            wait = error.retry_after if isinstance(error, Unavailable) else None
            passing = Unavailable(reason, place=self._client.base, retry_after=wait)
            passing.details = {"status": status}
            return passing
        self._settled[row.sequence] = True
        self._outlived.update(self._failures)
        return None

    def _is_refusal(self, sequence: int, status: int) -> bool:
        if status == FAILURE:
            self._failures[sequence] += 1
            return sequence in self._outlived and self._failures[sequence] >= MOST_TRIES
        return 400 <= status < 500 and status not in OF_ALL_EVENTS
