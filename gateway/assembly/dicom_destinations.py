"""Destinations of DICOM: who gets the performed steps of modalities."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from typing import Final

from sqlalchemy import Connection

from gateway.assembly.implementation import implementation_uid
from gateway.clock import Clock
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.tree import Config
from gateway.errors import ConfigError, SettingFault
from gateway.journey.performed_step.consequences import Change, Consequence
from gateway.journey.step_forwarding.queueing import queue_request
from gateway.journey.step_forwarding.station import StepForwarding
from gateway.observe import metrics
from gateway.records.step_request import Operation, StepRequest
from gateway.records.work import WorkKind, performed_steps_to
from gateway.wire.dimse.requestor_operations import MPPS, MPPS_RETRIEVE, proposals
from gateway.wire.dimse.requestor_peer import Peer, Timeouts
from gateway.wire.dimse.requestor_reuse import Requestor
from gateway.wire.dimse.server import VERSION_NAME
from gateway.wire.tls import TlsFileError, client_context
from gateway.work.breaker import Breaker
from gateway.work.worker import Handling

CLAIMED: Final = 16
"""Requests that are claimed at once: they take turns on one association, and claiming costs a transaction."""
LONGEST_SILENCE_SECONDS: Final = 30.0
"""A destination that does not answer is tried at least so often."""


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


def kinds_of_dicom_destinations(config: Config, clock: Clock, stack: AsyncExitStack) -> dict[WorkKind, Handling]:
    """The work of all destinations. Raises `ConfigError` when a certificate cannot be used."""
    kinds = {}
    for one in config.dicom.destinations:
        requestor = Requestor(
            peer_of(config, one, one.timeout_seconds), proposals(MPPS, MPPS_RETRIEVE), idle_seconds=one.idle_seconds
        )
        stack.push_async_callback(requestor.close)
        breaker = Breaker(
            one.name,
            clock,
            first_seconds=one.retry.first_seconds,
            longest_seconds=min(one.retry.max_seconds, LONGEST_SILENCE_SECONDS),
            gauge=metrics.DICOM_DESTINATION_OPEN,
        )
        kinds[performed_steps_to(one.name)] = Handling(
            StepForwarding(one.name, requestor, breaker).forward,
            concurrency=CLAIMED,
            first_retry_seconds=one.retry.first_seconds,
            max_retry_seconds=one.retry.max_seconds,
            gate=breaker,
        )
    return kinds


def peer_of(config: Config, destination: DicomDestination, seconds: float) -> Peer:
    """How a destination is called. Raises `ConfigError`."""
    return Peer(
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
    tls = destination.tls
    if tls is None:
        return None
    try:
        return client_context(tls.ca, tls.certificate, tls.key, tls.key_password)
    except TlsFileError as error:
        raise ConfigError([SettingFault(f"dicom.destinations {destination.name}", f"tls.{error}")]) from error
