"""Orders go to EHRs as ServiceRequests and Tasks: when they come, and whenever their state changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import NeedsPerson
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.service_request import service_request
from gateway.mapping.studies.task import task
from gateway.records.delivery import Delivery
from gateway.records.digest import digest_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import Order, Performed
from gateway.records.order import Attributes
from gateway.records.row_ids import OrderRow
from gateway.records.study import Release
from gateway.records.work import REQUEST, Lane, Part, Work, delivery_to
from gateway.store import Store, order_book, outbox, patients, performed_steps
from gateway.store.outbox_claims import Done
from gateway.wire.fhir.validation import faults_of


@dataclass(frozen=True, slots=True)
class Receiver:
    """An EHR that gets orders."""

    name: str
    release: Release
    parts: frozenset[Part]
    """Which resources of an order: `Part.ORDER`, `Part.TASK`."""


class _OrderFacts(NamedTuple):
    order: Order
    patient: Attributes
    performed: Sequence[Performed]


def queue_orders(connection: Connection, rows: Iterable[OrderRow], *, now: int) -> None:
    """Let the EHRs get orders as they are now; for orders whose steps a modality has moved."""
    for row in rows:
        if uid := order_book.study_uid(connection, row):
            outbox.postpone(connection, Lane(REQUEST, uid), due_at=now, now=now)


class ServiceRequestStation:
    """`tell` is what the worker calls for work of kind `request`."""

    def __init__(self, store: Store, settings: FhirSettings, receivers: Sequence[Receiver], clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._receivers = receivers
        self._clock = clock

    async def tell(self, work: Work) -> Done:
        """Turn the order of a Study Instance UID into deliveries, unless nothing that an EHR would see has changed.

        Raises `NeedsPerson` when the order has no valid form in FHIR.
        """
        found = await self._store.read(lambda connection: _look(connection, work.subject))
        if found is None:
            return Done({"note": "the order is gone"})
        wanted = {(part, receiver.release) for receiver in self._receivers for part in receiver.parts}
        made = {key: await asyncio.to_thread(self._made, found, *key) for key in wanted}
        return Done({}, lambda connection: self._deliver(connection, work.subject, made))

    def _made(self, found: _OrderFacts, part: Part, release: Release) -> Delivery:
        return checked(*_BUILDERS[part](found, self._settings, release), release)

    def _deliver(
        self, connection: Connection, study_uid: StudyInstanceUID, made: dict[tuple[Part, Release], Delivery]
    ) -> None:
        now = self._clock()
        for receiver in self._receivers:
            for part in sorted(receiver.parts):
                lane = Lane(delivery_to(receiver.name), study_uid, part)
                outbox.deliver(connection, lane, made[part, receiver.release], now=now)


def checked(resource: dict[str, Any], identifier: str, release: Release) -> Delivery:
    """The delivery of a resource. Raises `NeedsPerson` for one that is not valid."""
    if faults := faults_of(resource, release):
        kind = str(resource["resourceType"])
        raise NeedsPerson("the resource is not valid: " + "; ".join(faults[:10]), place=kind)
    return Delivery(resource, digest_of(resource).hex(), identifier)


_Built = tuple[dict[str, Any], str]
_BUILDERS: dict[Part, Callable[[_OrderFacts, FhirSettings, Release], _Built]] = {
    Part.ORDER: lambda found, settings, release: service_request(found.order, found.patient, settings, release),
    Part.TASK: lambda found, settings, _release: task(found.order, found.patient, found.performed, settings),
}


def _look(connection: Connection, study_uid: StudyInstanceUID) -> _OrderFacts | None:
    order = order_book.of_study(connection, study_uid)
    if order is None or order.row is None or order.patient is None or not order.procedures:
        return None
    row = patients.get(connection, order.patient)
    if row is None:
        return None
    return _OrderFacts(order, row["attributes"], performed_steps.events_of(connection, order.row))
