"""Station `ehr_delivery`: a delivery that is due goes to its EHR, once, whatever happens on the way.

What the EHR holds of ours is kept in a ledger: its id and the version seen last. `FhirWriter` knows how to write so
that nothing is there twice; a try whose outcome is unknown is not repeated before the EHR was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.journey.ehr_delivery.auditing import event_of_delivery
from gateway.journey.ehr_delivery.links import EhrLinks, Linked
from gateway.journey.ehr_delivery.standing import OutboxStanding, key_of
from gateway.journey.ehr_delivery.verifying import Verification
from gateway.journey.ehr_delivery.watching import watched
from gateway.records.delivery import Delivery
from gateway.records.digest import digest_of
from gateway.records.link import MissingLink, Target
from gateway.records.work import Lane, Work
from gateway.store import Store, audit, ehr_resources, missing_links, outbox
from gateway.store.ehr_resources import Entry, ResourceKey
from gateway.store.outbox_claims import Done, Together
from gateway.wire.fhir.write import Written
from gateway.wire.fhir.writer import FhirWriter
from gateway.work.breaker import Breaker
from gateway.work.lease import Lease

FIRST_LOOK_MICROS: Final = 1_000_000
"""A delivery to the same EHR that was under way at the same time may have brought the resource."""
LONGEST_PAUSE_MICROS: Final = 12 * 3600 * 1_000_000
MOST_LOOKS: Final = 75
"""About a month of looks."""


def entries_of(connection: Connection, works: Sequence[Work]) -> list[Entry | None]:
    """What the ledger has of the resource of each delivery; for `outbox_claims.claim`. A delivery that cannot be read
    fails by itself, when it is done."""
    keys = [_readable_key(work) for work in works]
    entries = ehr_resources.get_all(connection, [key for key in keys if key is not None])
    return [None if key is None else entries.get(key) for key in keys]


def _readable_key(work: Work) -> ResourceKey | None:
    try:
        key = key_of(work, Delivery.of(work.payload))
        key.identifier.encode()
    except (KeyError, TypeError, UnicodeEncodeError):
        return None
    return None if "\0" in key.identifier + key.kind else key


class EhrDelivery:
    """Delivers to the EHR `name`; `deliver` is what the worker calls for its kind of work."""

    def __init__(
        self,
        name: str,
        store: Store,
        writer: FhirWriter,
        clock: Clock,
        breaker: Breaker,
        links: EhrLinks,
        verification: Verification,
    ) -> None:
        self._name = name
        self._store = store
        self._writer = writer
        self._clock = clock
        self._breaker = breaker
        self._links = links
        self._verification = verification

    async def deliver(self, work: Work, lease: Lease) -> Done:
        """Write what tells of a study or an order; `work` was claimed with `entries_of`. Raises what `FhirWriter.write`
        raises, and `LeaseLostError`."""
        delivery, standing = Delivery.of(work.payload), OutboxStanding(self._store, work, lease)
        key, held = key_of(work, delivery), work.ahead
        known = held.resource_id if held else None
        with watched(self._breaker):
            linked = await self._links.linked(delivery.resource, delivery.patient, lease.confirm)
            written = await self._writer.write(
                linked.resource, key.identifier, known=known, unsure=bool(work.attempts), standing=standing
            )
        # Without links the resource is what was settled, and so is its digest.
        is_settled = bool(delivery.digest) and not self._links.are_made
        digest = bytes.fromhex(delivery.digest) if is_settled else digest_of(linked.resource)
        entry = Entry(written.id, written.version, digest)
        # Whatever was under way beside this write, or before it, may still come through.
        is_uncertain = bool(work.attempts) or written.was_contested or lease.was_late

        outcome = {"resource": key.kind, **_outcome(written, linked.missing)}
        detail = {**outcome, "request": written.request_id}
        happened = event_of_delivery(self._name, delivery.resource, delivery.patient, detail, self._clock())

        def note(connection: Connection) -> None:
            audit.record(connection, happened)
            if self._links.are_made:
                self._note_links(connection, work.lane, linked)
            if is_uncertain:
                self._verification.queue(connection, work)

        return Done(outcome, note, Together(self._remember, (key, entry)))

    def _remember(self, connection: Connection, noted: Sequence[tuple[ResourceKey, Entry]]) -> None:
        ehr_resources.remember(connection, noted, now=self._clock())

    def _note_links(self, connection: Connection, lane: Lane, linked: Linked) -> None:
        """Note which links the resource lacks, and let those be looked for again that this delivery has brought."""
        now = self._clock()
        looks = lane.of_looks()
        missing_links.replace(connection, self._name, looks, [one.target for one in linked.missing], now=now)
        if linked.missing:
            outbox.postpone(connection, looks, due_at=now + FIRST_LOOK_MICROS, now=now)
        for waiting in missing_links.waiting_for(connection, self._name, [*_targets(linked.resource), *linked.made]):
            outbox.postpone(connection, waiting, due_at=now, now=now)

    async def look(self, work: Work) -> Done:
        """Ask for the links that the resource of a lane lacks; deliver the resource again when the EHR has one of them.

        The pause between two looks doubles from seconds to half a day; the looks end after some weeks.
        """
        targets = await self._store.read(lambda connection: missing_links.of_lane(connection, work.lane))
        with watched(self._breaker):
            held = [len(await self._links.held(target)) for target in targets]
        if not targets or 1 not in held:
            return Done({}, partial(self._look_later, work=work) if targets else None)
        return Done({"linked": held.count(1)}, partial(self._repeat, work=work))

    def _look_later(self, connection: Connection, work: Work) -> None:
        looks = int(str(work.payload.get("looks", 0))) + 1
        pause = min(FIRST_LOOK_MICROS * 2**looks, LONGEST_PAUSE_MICROS)
        # A delivery that came meanwhile has let the look be due sooner.
        if looks < MOST_LOOKS and not outbox.waits(connection, work.lane):
            now = self._clock()
            payload = {"looks": looks}
            outbox.enqueue(connection, lane=work.lane, payload=payload, due_at=now + pause, now=now, supersede=True)

    def _repeat(self, connection: Connection, work: Work) -> None:
        outbox.repeat(connection, work.lane.of_deliveries(), now=self._clock())


def _targets(resource: dict[str, Any]) -> list[Target]:
    """What another resource may refer to, when this resource has reached the EHR."""
    kind = str(resource["resourceType"])
    identifiers = resource.get("identifier") or ()
    return [Target(kind, f"{one.get('system', '')}|{one['value']}") for one in identifiers if one.get("value")]


def _outcome(written: Written, missing: list[MissingLink]) -> dict[str, Any]:
    outcome = {"status": written.status, "id": written.id, "version": written.version}
    document = "; ".join(one for one in (written.note, *map(str, missing)) if one)
    return outcome | ({"note": document} if document else {})
