"""Destinations of HL7: who gets statuses of orders, and who gets messages as they came."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.assembly.breakers import DESTINATION_SILENCE_SECONDS, breaker_of
from gateway.assembly.mappings import first_listener, settings_of
from gateway.assembly.readers import make_reader
from gateway.assembly.tls import client_tls
from gateway.clock import Clock
from gateway.config.destinations import Destination
from gateway.config.tree import Config
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.performed_step.consequences import Change, Consequence
from gateway.journey.ris_status.making import StatusMaker, StatusReceiver
from gateway.journey.ris_status.material import Materials
from gateway.journey.ris_status.queueing import Forwards, Statuses
from gateway.journey.ris_status.station import ForwardStation, StatusDelivery, StatusStation
from gateway.mapping import Mappings
from gateway.mapping.status.shapes import SHAPES
from gateway.observe import metrics
from gateway.records.row_ids import MessageRow
from gateway.records.work import WorkKind, forward_to, status_to
from gateway.store import Store
from gateway.wire.hl7.mllp_sender import MllpSender
from gateway.wire.hl7.writing import Header
from gateway.work.handling import Handler, Handling

VERSIONS: Final = {"ORM^O01": "2.3.1"}
OTHERS: Final = "2.5.1"
"""HL7 version of IHE's messages of these types, and of all others."""
CLAIMED: Final = 32
"""Messages that are claimed for each connection at once: claiming costs a transaction, whatever it claims."""
LEASE_SECONDS: Final = 15.0
"""How long what a killed gateway had in hand waits for another; one that lives renews its leases."""


def status_consequences(config: Config, mappings: Mappings | None, clock: Clock) -> tuple[Consequence, ...]:
    """What a performed step leads to at the destinations of statuses; empty: there are none. Without mappings the
    messages are made by the worker."""
    receivers = [receiver_of(config, one) for one in config.hl7.destinations if one.status]
    if not receivers:
        return ()
    maker = None if mappings is None else _maker(config, mappings, clock, make_reader(config, mappings))
    statuses = Statuses(maker, receivers)

    def queue(connection: Connection, change: Change) -> None:
        orders = sorted({link.order for link in change.links})
        if change.event is not None:
            statuses.queue(connection, change.row, orders, change.event, at=change.event_at, now=clock())

    return (queue,)


def forwards_of(config: Config) -> Callable[[Connection, MessageRow, str, str, int], None] | None:
    """What a kept message leads to; None when none is passed on."""
    wanted = {one.name: frozenset(one.forward) for one in config.hl7.destinations if one.forward}
    if not wanted:
        return None
    forwards = Forwards(wanted)
    return lambda connection, row, kind, listener, now: forwards.queue(connection, row, kind, listener, now=now)


def kinds_of_destinations(
    config: Config, store: Store, mappings: Mappings, clock: Clock, stack: AsyncExitStack
) -> dict[WorkKind, Handling]:
    """The work of all destinations. Raises `ConfigError` when a certificate cannot be used."""
    kinds: dict[WorkKind, Handling] = {}
    if not config.hl7.destinations:
        return kinds
    reader = make_reader(config, mappings)
    maker = _maker(config, mappings, clock, reader)

    def control_id_of(raw: bytes, listener: str) -> str:
        message = reader.message_of(raw, listener)
        return message.control_id if message is not None else ""

    for one in config.hl7.destinations:
        delivery, handling = _delivery(one, store.steady, stack)
        if one.status:
            kinds[status_to(one.name)] = handling(
                StatusStation(store, maker, receiver_of(config, one), delivery, clock).tell
            )
        if one.forward:
            kinds[forward_to(one.name)] = handling(
                ForwardStation(one.name, store, control_id_of, delivery, clock).forward
            )
    return kinds


def _delivery(
    one: Destination, steady: Clock, stack: AsyncExitStack
) -> tuple[StatusDelivery, Callable[[Handler], Handling]]:
    """The connections to a destination, and how its work is done: one breaker holds all of it."""
    tls = tls_of_destination(one)
    sender = MllpSender(one.host, one.port, timeout=one.timeout_seconds, connections=one.connections, tls=tls)
    stack.push_async_callback(sender.close)
    breaker = breaker_of(
        one.name, one.retry, steady, longest_silence=DESTINATION_SILENCE_SECONDS, gauge=metrics.DESTINATION_OPEN
    )
    handling = partial(
        Handling,
        concurrency=one.connections * CLAIMED,
        lease_seconds=LEASE_SECONDS,
        first_retry_seconds=one.retry.first_seconds,
        max_retry_seconds=one.retry.max_seconds,
        gate=breaker,
        refill=one.connections * CLAIMED // 2,
    )
    return StatusDelivery(sender, breaker), handling


def tls_of_destination(destination: Destination) -> ssl.SSLContext | None:
    """TLS 1.2 and later, host names checked; None: without. Raises `ConfigError`."""
    return client_tls(destination.tls, f"hl7.destinations {destination.name}")


def _maker(config: Config, mappings: Mappings, clock: Clock, reader: MessageReader) -> StatusMaker:
    materials = Materials(reader.message_of, settings_of(config, first_listener(config)))
    return StatusMaker(mappings.statuses, materials, clock)


def receiver_of(config: Config, destination: Destination) -> StatusReceiver:
    """A destination of statuses with the MSH that it gets."""
    kind, structure = destination.status, SHAPES[destination.status].structure
    code, _, trigger = kind.partition("^")
    header = Header(
        sending=(destination.sending_application, destination.sending_facility or config.site.name),
        receiving=(destination.receiving_application, destination.receiving_facility),
        type=(code, trigger, structure),
        version=destination.version or VERSIONS.get(kind, OTHERS),
        charset=destination.charset,
    )
    return StatusReceiver(destination.name, kind, header, frozenset(destination.statuses))
