"""Orders go to EHRs as ServiceRequests: when they come, and whenever their state changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import NeedsPerson
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.service_request import service_request
from gateway.records.delivery import Delivery
from gateway.records.digest import digest_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.study import Release
from gateway.records.work import Lane, Work, delivery_to
from gateway.store import Store, order_book, outbox, patients
from gateway.store.outbox_claims import Done
from gateway.wire.fhir.validation import faults_of


class ServiceRequestStation:
    """`tell` is what the worker calls for work of kind `request`; `targets`: name and release of each EHR."""

    def __init__(
        self, store: Store, settings: FhirSettings, targets: Sequence[tuple[str, Release]], clock: Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._targets = targets
        self._clock = clock

    async def tell(self, work: Work) -> Done:
        """Turn the order of a Study Instance UID into deliveries, unless nothing that an EHR would see has changed.

        Raises `NeedsPerson` when the order has no valid form in FHIR.
        """
        found = await self._store.read(lambda connection: _look(connection, work.subject))
        if found is None:
            return Done({"note": "the order is gone"})
        order, patient = found
        bodies = {
            release: await asyncio.to_thread(self._build, order, patient, release)
            for release in {release for _, release in self._targets}
        }
        return Done({}, lambda connection: self._deliver(connection, work.subject, bodies))

    def _build(self, order: Any, patient: dict[str, Any], release: Release) -> Delivery:
        resource, identifier = service_request(order, patient, self._settings, release)
        if faults := faults_of(resource, release):
            raise NeedsPerson("the resource is not valid: " + "; ".join(faults[:10]), place="ServiceRequest")
        return Delivery(resource, digest_of(resource).hex(), identifier)

    def _deliver(
        self, connection: Connection, study_uid: StudyInstanceUID, deliveries: dict[Release, Delivery]
    ) -> None:
        now = self._clock()
        for name, release in self._targets:
            lane = Lane(delivery_to(name), study_uid, of_order=True)
            outbox.deliver(connection, lane, deliveries[release], now=now)


def _look(connection: Connection, study_uid: StudyInstanceUID) -> tuple[Any, dict[str, Any]] | None:
    order = order_book.of_study(connection, study_uid)
    if order is None or order.patient is None or not order.procedures:
        return None
    row = patients.get(connection, order.patient)
    return (order, row["attributes"]) if row is not None else None
