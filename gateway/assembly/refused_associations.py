"""What is noted of a connection, association or presentation context that was not accepted: a line, a count, a row."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sqlalchemy import Connection

from gateway.assembly.audit_events import refused_peer
from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.observe import metrics
from gateway.operations.state.sources import Refused
from gateway.records.audit import Actor, ActorKind
from gateway.store import Store, audit, refusals
from gateway.wire.dimse.server import AssociationRefusal

log = logging.getLogger(__name__)
MOST_KNOWN: Final = 1000


class RefusedAssociations:
    """`note` is what the DIMSE server calls. A line and a row are made once for each scanner and reason; each refusal
    is counted. A connection has no row: no AE title has been stated."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[AssociationRefusal, Refused] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, refusal: AssociationRefusal) -> None:
        metrics.DICOM_REFUSED.labels(refusal.what).inc()
        if refusal.what == "connection":
            log.warning("DICOM connection from %s refused: %s", refusal.address, refusal.why)
            return
        earlier = self._known.pop(refusal, None)
        self._known[refusal] = Refused(
            refusal.calling_ae, refusal.address, refusal.why, self._clock(), earlier.count + 1 if earlier else 1
        )
        if earlier is not None:
            return
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if refusal.what == "context":
            log.warning("%s (%s): %s is not accepted", refusal.calling_ae, refusal.address, refusal.why)
        task = asyncio.create_task(self._keep(refusal))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def seen(self) -> list[Refused]:
        """What was refused, the last at the end."""
        return list(self._known.values())

    async def close(self) -> None:
        """Wait until what was noted is kept."""
        await asyncio.gather(*self._writing)

    async def _keep(self, refusal: AssociationRefusal) -> None:
        now, title = self._clock(), refusal.calling_ae
        source = f"{title} {refusal.address}"
        reason = f"{refusal.what} refused: {refusal.why}"

        def keep(connection: Connection) -> None:
            refusals.add(
                connection, refused_at=now, source=source, reason=reason, body=b"", calling_ae=refusal.calling_ae
            )
            audit.record(connection, refused_peer(Actor(title, ActorKind.SCANNER, refusal.address), reason, now))

        try:
            await self._store.write(keep)
        except Unavailable as error:
            log.error("a refused association is not kept: %s", error)
