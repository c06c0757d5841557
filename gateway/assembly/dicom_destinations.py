"""Destinations of DICOM: who gets instances, performed steps, notifications of studies and commitment reports."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from sqlalchemy import Connection

from gateway.assembly.breakers import DESTINATION_SILENCE_SECONDS, breaker_of
from gateway.assembly.commitment import kinds_of_committing, kinds_of_reports, kinds_of_unlisted_reports
from gateway.assembly.image_forwarding import ImageParts, images_by_cstore, kinds_of_forward_to
from gateway.assembly.implementation import implementation_uid
from gateway.assembly.tls import client_tls
from gateway.clock import Clock
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.tree import Config
from gateway.journey.performed_step.consequences import Change, Consequence
from gateway.journey.step_forwarding.notifying import queue_notification
from gateway.journey.step_forwarding.queueing import queue_request
from gateway.journey.step_forwarding.station import StepForwarding
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.journey.study_settling.station import Consequence as SettledConsequence
from gateway.mapping import Mappings
from gateway.observe import metrics
from gateway.records.audit import AuditEvent
from gateway.records.step_request import Operation, StepRequest
from gateway.records.study import Study
from gateway.records.work import WorkKind, availability_to, performed_steps_to
from gateway.store import Store
from gateway.wire.dimse.requestor_operations import AVAILABILITY, MPPS, MPPS_RETRIEVE, proposals
from gateway.wire.dimse.requestor_peer import RequestedPeer, Timeouts
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.wire.dimse.server import VERSION_NAME
from gateway.work.breaker import Breaker
from gateway.work.handling import Handling

CLAIMED: Final = 16
"""Requests that are claimed at once: they take turns on one association, and claiming costs a transaction."""


def forwarding_consequences(config: Config, clock: Clock) -> tuple[Consequence, ...]:
    """What a request of a modality leads to at the destinations of performed steps; empty: there are none."""
    names = [one.name for one in config.dicom.destinations if one.mpps]
    if not names:
        return ()

    def queue(connection: Connection, change: Change) -> None:
        if change.request is not None:
            operation: Operation = "N-CREATE" if change.is_created else "N-SET"
            request = StepRequest(operation, change.sop_uid, change.request)
            queue_request(connection, names, change.step, request, now=clock())

    return (queue,)


def notifying_consequences(config: Config, clock: Clock) -> tuple[SettledConsequence, ...]:
    """What a study that has settled leads to at the destinations of notifications; empty: there are none."""
    archives = {one.name: one.retrieve_ae for one in config.dicom.destinations if one.ian and one.retrieve_ae}
    if not archives:
        return ()

    def queue(connection: Connection, study: Study) -> None:
        queue_notification(connection, archives, study, now=clock())

    return (queue,)


def classes_of(destination: DicomDestination) -> tuple[str, ...]:
    """The SOP classes that a destination is asked for beside storage; MPPS Retrieve it need not accept."""
    steps, notifications = (MPPS, MPPS_RETRIEVE), (AVAILABILITY,)
    return (*(steps if destination.mpps else ()), *(notifications if destination.ian else ()))


async def kinds_of_dicom_destinations(
    config: Config,
    store: Store,
    mappings: Mappings,
    clock: Clock,
    stack: AsyncExitStack,
    note: Callable[[AuditEvent], None],
    requests: OpenRequests,
) -> dict[WorkKind, Handling]:
    """The work of all destinations, those of `studies.forward_to` too. Raises `ConfigError` when a certificate, key or
    token file cannot be used."""
    images = ImageParts.of(config, store, mappings.corrections, clock, note, stack)
    kinds = await kinds_of_forward_to(config, images)
    for one in config.dicom.destinations:
        peer = peer_of(config, one, one.timeout_seconds)
        breaker = breaker_of(
            one.name,
            one.retry,
            store.steady,
            longest_silence=DESTINATION_SILENCE_SECONDS,
            gauge=metrics.DICOM_DESTINATION_OPEN,
        )
        kinds |= images_by_cstore(one, peer, breaker, images)
        if one.storage_commitment:
            kinds |= kinds_of_committing(one, peer, breaker, store, clock, stack)
        if one.commitment_reports:
            kinds |= kinds_of_reports(one, peer, breaker, store, clock, requests, stack)
        kinds |= _kinds_of_steps(one, peer, breaker, clock, stack)
    # Also where only headers are kept now: what was asked for before is reported.
    return kinds | kinds_of_unlisted_reports(store, clock, requests)


def _kinds_of_steps(
    destination: DicomDestination, peer: RequestedPeer, breaker: Breaker, clock: Clock, stack: AsyncExitStack
) -> dict[WorkKind, Handling]:
    """Performed steps and notifications, which take turns on one association."""
    if not (classes := classes_of(destination)):
        return {}
    requestor = Requestor(peer, proposals(*classes), idle_seconds=destination.idle_seconds)
    stack.push_async_callback(requestor.close)
    of_class = {MPPS: performed_steps_to(destination.name), AVAILABILITY: availability_to(destination.name)}
    return {
        of_class[sop_class]: Handling(
            StepForwarding(destination.name, requestor, breaker, clock, sop_class).forward,
            concurrency=CLAIMED,
            first_retry_seconds=destination.retry.first_seconds,
            max_retry_seconds=destination.retry.max_seconds,
            gate=breaker,
        )
        for sop_class in of_class.keys() & set(classes)
    }


def peer_of(config: Config, destination: DicomDestination, seconds: float) -> RequestedPeer:
    """How a destination is called. Raises `ConfigError`."""
    return RequestedPeer(
        destination.host,
        destination.port,
        destination.ae_title,
        destination.calling_ae or config.dicom.ae_title,
        Timeouts.of(seconds),
        tls_of_dicom_destination(destination),
        (implementation_uid(config), VERSION_NAME),
    )


def tls_of_dicom_destination(destination: DicomDestination) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None: without. Raises `ConfigError`."""
    return client_tls(destination.tls, f"dicom.destinations {destination.name}")
