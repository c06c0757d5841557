"""Where a delivery stands among all deliveries of its resource, by the rows of the outbox."""

from __future__ import annotations

from functools import partial

from gateway.records.delivery import Delivery, identifier_of_study
from gateway.records.work import Work
from gateway.store import Store, outbox
from gateway.store.ehr_resources import ResourceKey
from gateway.work.lease import Lease


def key_of(work: Work, delivery: Delivery) -> ResourceKey:
    """The key of the resource that `work` brings."""
    identifier = delivery.identifier or identifier_of_study(work.subject)
    return ResourceKey(work.kind.target, str(delivery.resource["resourceType"]), identifier)


class OutboxStanding:
    """The revision is the id of the row: rows are added to a lane under its lock, so that a later one has a higher id,
    whichever node adds it."""

    def __init__(self, store: Store, work: Work, lease: Lease) -> None:
        self._store = store
        self._work = work
        self._lease = lease

    @property
    def revision(self) -> int:
        return self._work.id

    async def confirm(self) -> None:
        """Raise `LeaseLostError` when another worker has the delivery."""
        await self._lease.confirm()

    async def is_later(self, revision: int) -> bool:
        """Whether `revision` is the row of a later delivery of the same resource."""
        payload = await self._store.read(partial(outbox.payload_of, kind=self._work.kind, row=revision))
        if payload is None:
            return False
        ours, theirs = Delivery.of(self._work.payload), Delivery.of(payload)
        return (ours.identifier, ours.resource["resourceType"]) == (theirs.identifier, theirs.resource["resourceType"])
