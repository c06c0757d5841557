"""Station `ehr_delivery`: a delivery that is due goes to its EHR, once, whatever happens on the way.

What the EHR holds of ours is kept in a ledger: its id and the version seen last. `FhirWriter` knows how to write so
that nothing is there twice; a try whose outcome is unknown is not repeated before the EHR was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import NeedsPerson, Unavailable
from gateway.journey.ehr_delivery.links import EhrLinks
from gateway.records.delivery import Delivery
from gateway.records.digest import digest_of
from gateway.records.work import Work
from gateway.store import Store, ehr_resources
from gateway.store.ehr_resources import Entry, Key
from gateway.store.outbox_claims import Done
from gateway.wire.fhir.answer import Contested
from gateway.wire.fhir.writer import FhirWriter, Written
from gateway.work.breaker import Breaker

NO_ANSWER: Final = (None, 408, 429, 502, 503, 504)
"""Statuses that do not come from the EHR's own judgement of a write; None: no answer at all."""


class EhrDelivery:
    """Delivers to the EHR `name`; `deliver` is what the worker calls for its kind of work."""

    def __init__(
        self, name: str, store: Store, writer: FhirWriter, clock: Clock, breaker: Breaker, links: EhrLinks
    ) -> None:
        self._name = name
        self._store = store
        self._writer = writer
        self._clock = clock
        self._breaker = breaker
        self._links = links

    async def deliver(self, work: Work) -> Done:
        """Write what tells of a study or an order. Raises what `FhirWriter.write` raises."""
        delivery = Delivery.of(work.payload)
        resource = delivery.resource
        identifier = delivery.identifier or f"urn:dicom:uid|urn:oid:{work.subject}"
        key = Key(self._name, str(resource["resourceType"]), identifier)
        held = await self._store.read(lambda connection: ehr_resources.get(connection, key))
        known = held.resource_id if held else None
        with self._watched():
            resource, notes = await self._links.linked(resource, delivery.patient)
            written = await self._writer.write(resource, identifier, known=known, unsure=bool(work.attempts))
        entry = Entry(written.id, written.version, digest_of(resource))

        def note(connection: Connection) -> None:
            ehr_resources.remember(connection, key, entry, now=self._clock())

        return Done({"resource": key.kind, **_outcome(written, notes)}, note)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Tell the breaker whether the EHR answered; one that decides against a write has."""
        try:
            yield
        except (Contested, NeedsPerson):
            self._breaker.answered()
            raise
        except Unavailable as error:
            if error.details.get("status") in NO_ANSWER:
                self._breaker.failed(error.retry_after)
            raise
        self._breaker.answered()


def _outcome(written: Written, notes: list[str]) -> dict[str, Any]:
    outcome = {"status": written.status, "id": written.id, "version": written.version}
    document = "; ".join(one for one in (written.note, *notes) if one)
    return outcome | ({"note": document} if document else {})
