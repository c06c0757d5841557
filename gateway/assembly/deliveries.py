"""The kinds of work in the outbox, with the station of each."""

from __future__ import annotations

from gateway import mapping
from gateway.assembly.breakers import EHR_SILENCE_SECONDS, breaker_of
from gateway.clock import Clock
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.journey.ehr_delivery.links import EhrLinks, Mode
from gateway.journey.ehr_delivery.station import EhrDelivery, entries_of
from gateway.journey.ehr_delivery.verifying import Verification
from gateway.journey.order_telling.procedures import ProcedureStation
from gateway.journey.order_telling.station import Receiver, ServiceRequestStation
from gateway.journey.study_settling.station import ImagingStudyStation
from gateway.mapping.in_force import current
from gateway.observe import metrics
from gateway.records.work import (
    PROCEDURE,
    REQUEST,
    SERVE,
    SETTLE,
    Part,
    WorkKind,
    delivery_to,
    links_at,
    verifications_at,
)
from gateway.store import Store
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.writer import FhirWriter
from gateway.work.handling import Handling, committing


def kinds_of_work(
    config: Config,
    store: Store,
    mappings: mapping.Mappings,
    clients: dict[str, FhirClient],
    station: ImagingStudyStation,
    clock: Clock,
) -> dict[WorkKind, Handling]:
    kinds = {SETTLE: Handling(committing(station.settle), concurrency=2)}
    settings = current(lambda: mappings.studies.settings)
    if receivers := [one for ehr in config.ehrs if (one := receiver_of(ehr)).parts]:
        kinds[REQUEST] = Handling(
            committing(ServiceRequestStation(store, settings, receivers, clock).tell), concurrency=2
        )
    if performed := [(ehr.name, ehr.fhir_version) for ehr in config.ehrs if ehr.procedures == "write"]:
        kinds[PROCEDURE] = Handling(committing(ProcedureStation(store, settings, performed, clock).tell), concurrency=2)
    if config.facade.enabled:
        kinds[SERVE] = Handling(committing(station.serve), concurrency=1)
    for ehr in config.ehrs:
        kinds |= _kinds_of_ehr(ehr, store, clients[ehr.name], clock)
    return kinds


def _kinds_of_ehr(ehr: Ehr, store: Store, client: FhirClient, clock: Clock) -> dict[WorkKind, Handling]:
    breaker = breaker_of(ehr.name, ehr.retry, store.steady, longest_silence=EHR_SILENCE_SECONDS, gauge=metrics.EHR_OPEN)
    writer = writer_of(ehr, client)
    orders: Mode = "identifier" if ehr.orders == "identifier" else "find"
    links = EhrLinks(client, writer.ways.capabilities, {"Patient": ehr.patient, "ServiceRequest": orders})
    verification = Verification(store, writer, clock, breaker)
    delivery = EhrDelivery(ehr.name, store, writer, clock, breaker, links, verification)
    kinds = {
        verifications_at(ehr.name): Handling(verification.verify, concurrency=1, gate=breaker, is_prompt=False),
        delivery_to(ehr.name): Handling(
            delivery.deliver,
            concurrency=ehr.concurrency,
            first_retry_seconds=ehr.retry.first_seconds,
            max_retry_seconds=ehr.retry.max_seconds,
            gate=breaker,
            when_lost=verification.queue,
            ahead=entries_of,
        ),
    }
    if links.are_made:
        kinds[links_at(ehr.name)] = Handling(committing(delivery.look), concurrency=1, gate=breaker)
    return kinds


def receiver_of(ehr: Ehr) -> Receiver:
    """What of orders an EHR gets."""
    wanted = {Part.ORDER: ehr.orders, Part.TASK: ehr.tasks}
    return Receiver(ehr.name, ehr.fhir_version, frozenset(part for part, mode in wanted.items() if mode == "write"))


def writer_of(ehr: Ehr, client: FhirClient) -> FhirWriter:
    """How resources are brought to `ehr`."""
    return FhirWriter(
        client,
        way=None if ehr.write == "auto" else Way(ehr.write),
        duplicates=ehr.duplicates,
        when_deleted=ehr.when_deleted,
        timeout_seconds=ehr.timeout_seconds,
    )
