"""What is noted of a connection, association or presentation context that was not accepted: a line, a count, a row."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.store import Store, refusals
from gateway.wire.dimse.server import AssociationRefusal

log = logging.getLogger(__name__)
MOST_KNOWN: Final = 1000


class RefusedAssociations:
    """`note` is what the DIMSE server calls. A line and a row are made once for each scanner and reason; each refusal
    is counted. A connection has no row: no AE title has been stated."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[AssociationRefusal, None] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, refusal: AssociationRefusal) -> None:
        metrics.DICOM_REFUSED.labels(refusal.what).inc()
        if refusal.what == "connection":
            log.warning("DICOM connection from %s refused: %s", refusal.address, refusal.why)
            return
        if refusal in self._known:
            return
        self._known[refusal] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if refusal.what == "context":
            log.warning("%s (%s): %s is not accepted", refusal.calling_ae, refusal.address, refusal.why)
        task = asyncio.create_task(self._keep(refusal))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait until what was noted is kept."""
        await asyncio.gather(*self._writing)

    async def _keep(self, refusal: AssociationRefusal) -> None:
        now, source = self._clock(), f"{refusal.calling_ae} {refusal.address}"
        reason = f"{refusal.what} refused: {refusal.why}"

        def keep(connection: Connection) -> None:
            refusals.add(connection, refused_at=now, source=source, reason=reason, body=b"")

        try:
            await self._store.write(keep)
        except Unavailable as error:
            log.error("a refused association is not kept: %s", error)
