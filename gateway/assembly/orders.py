"""Orders: listeners, senders and the intake of each."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from gateway import mapping
from gateway.assembly.binding import bind
from gateway.assembly.mappings import first_listener, settings_of
from gateway.assembly.tls import server_tls
from gateway.clock import Clock
from gateway.config.hl7 import Listener, SenderRules, SenderSource
from gateway.config.tree import Config
from gateway.errors import SettingFault, UnknownKey
from gateway.journey import scheduling
from gateway.journey.order_intake.reading import MessageReader
from gateway.journey.order_intake.sources import SERVED, ListenerSource, SenderRule
from gateway.journey.order_intake.station import OrderIntake
from gateway.journey.order_intake.structure import Conformance
from gateway.mapping.orders.functions import Settings
from gateway.observe import metrics
from gateway.records.row_ids import MessageRow
from gateway.store import Store, messages
from gateway.wire.hl7.mllp_framing import MllpPeer
from gateway.wire.hl7.mllp_server import ListenerAccess, MllpLimits, MllpServer

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 10.0


def source_of(config: Config, listener: Listener) -> ListenerSource:
    """Who may send to a listener, and how each is read."""
    settings = settings_of(config, listener)
    return ListenerSource(
        name=listener.name,
        senders=[sender_rule(settings, listener, source) for source in listener.sources]
        or [sender_rule(settings, listener, SenderSource())],
        close_on_failure=listener.on_failure == "close",
    )


def sender_rule(settings: Settings, listener: Listener, source: SenderSource) -> SenderRule:
    rules = {name: getattr(listener, name) for name in SenderRules.model_fields}
    rules |= {name: getattr(source, name) for name in source.model_fields_set & SenderRules.model_fields.keys()}
    types = frozenset((kind, trigger) for kind, _, trigger in (one.partition("^") for one in rules["message_types"]))
    return SenderRule(
        settings=replace(settings, without_modality=rules["without_modality"]),
        application=source.application,
        facility=source.facility,
        charset=rules["charset"],
        override_charset=rules["override_charset"],
        undecodable=rules["undecodable"],
        message_types=types or SERVED,
        unserved=rules["unserved_types"],
        training=rules["training"],
        acknowledge=rules["acknowledge"],
        conformance=rules["conformance"],
        conformance_version=rules["conformance_version"],
    )


def access_of(listener: Listener) -> ListenerAccess:
    """Who a listener lets in. Raises `ConfigError` when a certificate or key cannot be used."""

    def tls_fault(key: str, text: str) -> SettingFault:
        return SettingFault(f"hl7.listeners {listener.name}", f"tls.{key}: {text}")

    return ListenerAccess(
        tls=server_tls(listener.tls, tls_fault) if listener.tls is not None else None,
        addresses=tuple(ipaddress.ip_network(one, strict=False) for one in listener.allowed_addresses),
        certificate_names=frozenset(listener.allowed_certificates),
    )


def make_reader(config: Config, mappings: mapping.Mappings) -> MessageReader:
    """Reads messages of all listeners, kept ones too."""
    listeners = config.hl7.listeners or [first_listener(config)]
    sources = {listener.name: source_of(config, listener) for listener in listeners}
    return MessageReader(mappings.orders, mappings.worklist_files, sources, sources[first_listener(config).name])


def scheduling_policy(config: Config) -> scheduling.Policy:
    """What the site decides of scheduling."""
    return scheduling.Policy(
        ignore_unknown_control=config.hl7.unknown_order_control == "ignore",
        unknown_order=config.hl7.unknown_order,
        patient_data=config.hl7.patient_data,
        tell_orders=any(ehr.orders == "write" for ehr in config.ehrs),
    )


def make_intake(
    config: Config,
    listener: Listener,
    store: Store,
    reader: MessageReader,
    clock: Clock,
    conformance: Conformance | None = None,
) -> OrderIntake:
    """The intake of one listener, which schedules what its messages state."""
    policy = scheduling_policy(config)
    source = source_of(config, listener)
    checks = conformance or Conformance(store, reader)
    return OrderIntake(store, reader, partial(scheduling.apply, policy=policy), source, clock, checks)


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


async def listen(listener: Listener, intake: OrderIntake, stack: AsyncExitStack) -> MllpServer:
    limits = MllpLimits(
        max_message_bytes=listener.max_message_bytes,
        idle_seconds=listener.idle_seconds,
        message_seconds=listener.message_seconds,
        max_connections=listener.max_connections,
    )

    def noise(peer: MllpPeer, skipped: bytes) -> None:
        log.warning("%s: %s sent %d bytes outside of a frame", listener.name, peer.host, len(skipped))

    def turned_away(peer: MllpPeer, reason: str, why: str) -> None:
        metrics.REFUSED.labels(listener.name, reason).inc()
        log.warning("%s: connection from %s refused (%s): %s", listener.name, peer.host, reason, why)

    server = MllpServer(
        intake.receive,
        limits,
        on_noise=noise,
        on_refused=intake.refuse,
        on_turned_away=turned_away,
        access=access_of(listener),
        release=listener.mllp_release,
    )
    key = f"hl7.listeners {listener.name}"
    await bind(key, listener.host, listener.port, lambda: server.start(listener.host, listener.port))
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    log.info("HL7 orders for %s on %s:%d", listener.name, listener.host, server.port)
    return server
