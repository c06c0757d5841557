"""Asks an EHR later what it holds, after a delivery that another write of the same resource may follow: one that was
under way when a process was paused, or that a proxy held, comes through whenever it likes.

A resource that turns up twice is made one, and what is older than the newest delivery is delivered again.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.journey.ehr_delivery.standing import key_of
from gateway.journey.ehr_delivery.watching import watched
from gateway.records.delivery import Delivery
from gateway.records.work import Work
from gateway.store import Store, ehr_resources, outbox
from gateway.store.ehr_resources import Entry, ResourceKey
from gateway.store.outbox_claims import Done
from gateway.wire.fhir.answer import Resource, version_of
from gateway.wire.fhir.standing import revision_of
from gateway.wire.fhir.writer import FhirWriter
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

PAUSES: Final = (1.0, 10.0)
"""Before each look, in multiples of the time that a request is given."""


class Verification:
    """`verify` is what the worker calls for looks at one EHR; `queue` adds them."""

    def __init__(self, store: Store, writer: FhirWriter, clock: Clock, breaker: Breaker) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._breaker = breaker

    def queue(self, connection: Connection, work: Work) -> None:
        """Let the EHR be asked for what `work` brings, when a request that is under way now has had its time."""
        key = key_of(work, Delivery.of(work.payload))
        self._queue(connection, work, {"kind": key.kind, "identifier": key.identifier, "looks": 0})

    def _queue(self, connection: Connection, work: Work, payload: dict[str, Any]) -> None:
        now, looks = self._clock(), int(payload["looks"])
        due_at = now + round(PAUSES[looks] * self._writer.timeout_seconds * 1_000_000)
        lane = work.lane.of_verifications()
        outbox.enqueue(connection, lane=lane, payload=payload, due_at=due_at, now=now, supersede=True)

    async def verify(self, work: Work, lease: Lease) -> Done:
        """Look, mend, and look once more. Raises what `FhirWriter.look` raises, and `LeaseLostError`."""
        key = ResourceKey(work.kind.target, str(work.payload["kind"]), str(work.payload["identifier"]))
        entry = await self._store.read(partial(ehr_resources.get, key=key))
        with watched(self._breaker):
            known = entry.resource_id if entry else None
            held = await self._writer.look(key.kind, key.identifier, known=known, confirm=lease.confirm)

        def follow(connection: Connection) -> None:
            if held is not None and not _is_newest(connection, work, held, entry):
                outbox.repeat(connection, work.lane.of_deliveries(), now=self._clock())
            looks = int(str(work.payload["looks"])) + 1
            if looks < len(PAUSES):
                self._queue(connection, work, {**work.payload, "looks": looks})

        return Done({"resource": key.kind, **_outcome(held)}, follow)


def _is_newest(connection: Connection, work: Work, held: Resource, entry: Entry | None) -> bool:
    """Whether an EHR holds what was delivered last: the version that we saw, or the revision of the last delivery."""
    if entry is not None and entry.version and (held.get("id"), version_of(held)) == (entry.resource_id, entry.version):
        return True
    return revision_of(held) >= outbox.newest_done(connection, work.lane.of_deliveries())


def _outcome(held: Resource | None) -> dict[str, Any]:
    return {} if held is None else {"id": str(held.get("id")), "version": version_of(held)}
