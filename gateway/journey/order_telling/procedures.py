"""Performed steps go to EHRs as Procedures, when they are completed, and when a link is added to one that was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import NeedsPerson
from gateway.journey.order_telling.station import checked
from gateway.mapping.studies.base import FhirSettings
from gateway.mapping.studies.procedure import procedure
from gateway.mapping.studies.references import patient_reference
from gateway.mapping.studies.service_request import request_reference, subject_of
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.imaging_order import Order
from gateway.records.order import Attributes
from gateway.records.patient import Identity
from gateway.records.performed_matching import Candidate, is_same_patient
from gateway.records.performed_step import PerformedState, PerformedStep, scheduled_items
from gateway.records.row_ids import PerformedStepRow
from gateway.records.study import Release
from gateway.records.work import PROCEDURE, Lane, Part, Work, delivery_to
from gateway.store import Store, order_book, outbox, patients, performed_steps, step_candidates
from gateway.store.outbox_claims import Done

_KEYWORDS: Final = ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientName")


def queue_procedure(connection: Connection, sop_uid: str, step: PerformedStep, *, now: int) -> None:
    """Let the EHRs get the Procedure of a performed step, if it is completed."""
    items = scheduled_items(step.attributes)
    if step.state is PerformedState.COMPLETED and items:
        subject = StudyInstanceUID(next((one.study_uid for one in items if one.study_uid), sop_uid))
        lane = Lane(PROCEDURE, subject, Part.PROCEDURE, sop_uid)
        outbox.postpone(connection, lane, due_at=now, now=now)


class _ProcedureFacts(NamedTuple):
    attributes: Attributes
    links: Sequence[Candidate]
    orders: Sequence[Order]
    patient: Attributes
    """Of the orders."""


class ProcedureStation:
    """`tell` is what the worker calls for work of kind `procedure`; `receivers`: name and release of each EHR."""

    def __init__(
        self, store: Store, settings: FhirSettings, receivers: Sequence[tuple[str, Release]], clock: Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._receivers = receivers
        self._clock = clock

    async def tell(self, work: Work) -> Done:
        """Turn a performed step into deliveries, unless nothing that an EHR would see has changed.

        Raises `NeedsPerson` when the modality states another patient than the order, and when the step has no valid
        form in FHIR.
        """
        sop_uid = work.lane.performed_step
        found = await self._store.read(lambda connection: _look(connection, sop_uid))
        if found is None:
            return Done({"note": "the performed step is not there"})
        subject = _subject(found, self._settings)
        if subject is None:
            return Done({"note": "the performed step states no patient, and is linked to no order"})
        requests = [request_reference(order, self._settings) for order in found.orders]

        def made(release: Release) -> Any:
            return checked(*procedure(sop_uid, found.attributes, subject, requests, self._settings, release), release)

        bodies = {
            release: await asyncio.to_thread(made, release) for release in {release for _, release in self._receivers}
        }

        def deliver(connection: Connection) -> None:
            for name, release in self._receivers:
                lane = Lane(delivery_to(name), work.subject, Part.PROCEDURE, sop_uid)
                outbox.deliver(connection, lane, bodies[release], now=self._clock())

        return Done({}, deliver)


def _look(connection: Connection, sop_uid: str) -> _ProcedureFacts | None:
    row = performed_steps.find(connection, sop_uid)
    if row is None:
        return None
    links = step_candidates.links_of(connection, PerformedStepRow(row["id"]))
    orders = [order_book.stands(connection, one) for one in sorted({link.order for link in links})]
    orders = [order for order in orders if order.procedures]
    patient = next((order.patient for order in orders if order.patient is not None), None)
    held = None if patient is None else patients.get(connection, patient)
    return _ProcedureFacts(row["attributes"], links, orders, held["attributes"] if held is not None else {})


def _subject(found: _ProcedureFacts, settings: FhirSettings) -> dict[str, Any] | None:
    """The patient of the orders, else the one that the modality states; None for neither."""
    stated = Identity(*(str(found.attributes.get(key) or "") for key in ("PatientID", "IssuerOfPatientID")))
    for link in found.links:
        if stated.patient_id and not any(is_same_patient(stated, one) for one in (link.patient, *link.former)):
            raise NeedsPerson(
                "the modality states another patient than the order has; unlink the step, or correct the patient",
                place="PatientID",
            )
    if found.orders and found.patient:
        return subject_of(found.orders[0], found.patient, settings)
    if not stated.patient_id:
        return None
    return patient_reference(stated.patient_id, [found.attributes.get(key) for key in _KEYWORDS], None, settings)
