"""Orders: listeners, senders and the intake of each."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from gateway import mapping
from gateway.assembly.audit_events import RefusedConnections
from gateway.assembly.binding import bind
from gateway.assembly.listening_ports import key_of_listener
from gateway.assembly.mappings import first_listener
from gateway.assembly.performed_steps import consequences_of
from gateway.assembly.processes.place import ProcessPlace
from gateway.assembly.readers import make_reader, source_of
from gateway.assembly.shares import of_address
from gateway.assembly.tls import server_tls
from gateway.clock import Clock
from gateway.config.hl7 import Listener
from gateway.config.tree import Config
from gateway.errors import SettingFault, UnknownKey
from gateway.journey import scheduling
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.order_intake.station import OnKept, OrderIntake
from gateway.journey.order_intake.structure import Conformance
from gateway.journey.performed_step.attaching import LateLinking
from gateway.observe import metrics
from gateway.operations.message_tools import MessageTools
from gateway.operations.replay import DryRun
from gateway.records.retention import DAY
from gateway.records.row_ids import MessageRow
from gateway.store import Store, messages
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.mllp_incoming import MllpLimits
from gateway.wire.hl7.mllp_server import ListenerAccess, MllpServer
from gateway.wire.places import Denial

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10.0


def access_of(listener: Listener) -> ListenerAccess:
    """Who a listener lets in. Raises `ConfigError` when a certificate or key cannot be used."""

    def tls_fault(key: str, text: str) -> SettingFault:
        return SettingFault(key_of_listener(listener.name), f"tls.{key}: {text}")

    return ListenerAccess(
        tls=server_tls(listener.tls, tls_fault) if listener.tls is not None else None,
        addresses=tuple(ipaddress.ip_network(one, strict=False) for one in listener.allowed_addresses),
        certificate_names=frozenset(listener.allowed_certificates),
    )


def scheduling_policy(config: Config) -> scheduling.Policy:
    """What the site decides of scheduling."""
    return scheduling.Policy(
        ignore_unknown_control=config.hl7.unknown_order_control == "ignore",
        unknown_order=config.hl7.unknown_order,
        patient_data=config.hl7.patient_data,
        tell_orders=any("write" in (ehr.orders, ehr.tasks) for ehr in config.ehrs),
        late_links=LateLinking(consequences_of(config)),
        orders_kept=None if (days := config.retention.orders_days) is None else days * DAY,
    )


def make_intake(
    config: Config,
    listener: Listener,
    store: Store,
    reader: MessageReader,
    clock: Clock,
    conformance: Conformance | None = None,
    on_kept: OnKept | None = None,
) -> OrderIntake:
    """The intake of one listener, which schedules what its messages state."""
    policy = scheduling_policy(config)
    source = source_of(config, listener)
    checks = conformance or Conformance(store, reader)
    apply = partial(scheduling.apply, policy=policy)
    return OrderIntake(store, reader, apply, scheduling.asked_by, source, clock, checks, on_kept)


async def replay_message(
    config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, message: MessageRow
) -> str:
    """Work on a kept message again as its own listener would; returns the acknowledgement code."""
    row = await store.read(lambda connection: messages.get(connection, message))
    if row is None:
        raise UnknownKey(f"there is no message {message}", place=f"message {message}")
    return await intakes(config, store, make_reader(config, mappings), clock)(row["listener"]).replay(message)


def intakes(config: Config, store: Store, reader: MessageReader, clock: Clock) -> Callable[[str], OrderIntake]:
    """The intake of each listener by its name, for kept messages; of one that is no longer configured, the first."""
    listeners = {listener.name: listener for listener in config.hl7.listeners or [first_listener(config)]}
    made = {name: make_intake(config, listener, store, reader, clock) for name, listener in listeners.items()}
    first = next(iter(made.values()))
    return lambda name: made.get(name, first)


def message_tools(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock) -> MessageTools:
    """What explaining and trying kept messages takes."""
    reader = make_reader(config, mappings)
    names = [listener.name for listener in config.hl7.listeners or [first_listener(config)]]
    return MessageTools(mappings, reader, DryRun(store, reader, intakes(config, store, reader, clock)), names)


def _limits(listener: Listener) -> MllpLimits:
    return MllpLimits(
        max_message_bytes=listener.max_message_bytes,
        idle_seconds=listener.idle_seconds,
        message_seconds=listener.message_seconds,
        max_connections=listener.max_connections,
        max_connections_per_address=of_address(listener.max_connections, listener.max_connections_per_address),
    )


async def listen(
    listener: Listener,
    intake: OrderIntake,
    stack: AsyncExitStack,
    refused: RefusedConnections,
    place: ProcessPlace,
) -> MllpServer:
    def noise(peer: MllpPeer, skipped: bytes) -> None:
        log.warning("%s: %s sent %d bytes outside of a frame", listener.name, peer.host, len(skipped))

    def turned_away(peer: MllpPeer, denial: Denial, why: str) -> None:
        metrics.REFUSED.labels(listener.name, denial.value).inc()
        log.warning("%s: connection from %s refused (%s): %s", listener.name, peer.host, denial.value, why)
        refused.note(listener.name, peer.host, denial.value)

    server = MllpServer(
        intake.receive,
        _limits(listener),
        on_noise=noise,
        on_refused=intake.refuse,
        on_turned_away=turned_away,
        access=access_of(listener),
        release=listener.mllp_release,
    )
    key, at = key_of_listener(listener.name), (listener.host, listener.port)
    await bind(key, *at, partial(server.start, *at, place.ports.get(key)))
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    log.info("HL7 orders for %s on %s:%d", listener.name, listener.host, server.port)
    return server
