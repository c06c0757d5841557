"""The composition root: builds everything in the order of the journey and stops it in reverse."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import importlib.metadata
import ipaddress
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway import mapping
from gateway.assembly.ehrs import client_of, published_keys
from gateway.clock import Clock
from gateway.clock import now as system_clock
from gateway.config import Config, Dicom, Ehr, Listener, SenderRules, SenderSource, Tls
from gateway.errors import ConfigError, Unavailable, UnknownKey
from gateway.journey import scheduling
from gateway.journey.ehr_delivery.links import EhrLinks, Mode
from gateway.journey.ehr_delivery.station import EhrDelivery
from gateway.journey.order_intake.reading import SERVED, MessageReader, Sender, Source
from gateway.journey.order_intake.station import OrderIntake
from gateway.journey.order_intake.structure import Conformance
from gateway.journey.order_telling.station import ServiceRequestStation
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.study_settling.station import ImagingStudyStation, Target
from gateway.journey.worklist.query_log import QueryLog
from gateway.journey.worklist.station import WITHOUT_MAPPING, Rules, Worklist
from gateway.mapping.identifiers import derived_uid
from gateway.mapping.orders.functions import Settings
from gateway.mapping.studies.base import FhirSettings
from gateway.observe import metrics
from gateway.operations.why_not_shown import Why
from gateway.operations.why_not_shown import why as explain
from gateway.records.delivery import EHR, REQUEST, SERVE, SETTLE
from gateway.records.study import CONTAINED_ENDPOINT, Shape
from gateway.store import Store, messages, outbox
from gateway.store.engine import sqlite_file
from gateway.web import facade
from gateway.web.api.health import Component
from gateway.web.login import guard
from gateway.web.server import build
from gateway.wire.dimse import DimseServer, Policy
from gateway.wire.dimse import Peer as DimsePeer
from gateway.wire.fhir import FhirClient
from gateway.wire.fhir.capability import Way
from gateway.wire.fhir.validation import warm_up
from gateway.wire.fhir.writer import FhirWriter
from gateway.wire.hl7.mllp import Door, Limits, MllpServer, Peer
from gateway.work.breaker import Breaker
from gateway.work.worker import Kind, Worker

log = logging.getLogger(__name__)

FACADE: Final = "/fhir"
GRACE_SECONDS: Final = 10.0
LONGEST_SILENCE_SECONDS: Final = 60.0
"""An EHR that does not answer is tried at least so often, whatever the retries of single studies."""
GC_ALLOCATIONS: Final = 50_000
"""New objects before the collector looks for cycles among them. Orders and items are read as many small ones, of which
Python's 700 are soon reached, and few of which make cycles."""
VERSION: Final = importlib.metadata.version("imaging-gateway")


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves. The ports are the real ones, where the configuration says 0."""

    store: Store
    hl7_ports: dict[str, int]
    dicom_port: int
    http_port: int
    worker: Worker


def settings_of(config: Config, listener: Listener) -> Settings:
    return Settings(
        zone=config.site.zone,
        patient_id_issuer=config.site.patient_id_issuer,
        site_name=config.site.name,
        source_name=listener.name,
        station_aes=tuple(listener.station_aes),
    )


def load_mappings(config: Config) -> mapping.Mappings:
    """The mapping files with the site's overlay. Raises `ConfigError`."""
    site = config.site
    fhir = FhirSettings(
        site.zone,
        site.patient_id_issuer,
        site.identifier_systems,
        order_systems=site.order_systems,
        site_name=site.name,
        study_id_system=site.study_id_system,
        wado_rs_url=site.wado_rs_url,
        viewer_url=site.viewer_url,
    )
    return mapping.load(
        settings_of(config, config.hl7.listeners[0] if config.hl7.listeners else Listener()),
        fhir,
        config.mappings.overlay,
    )


def source_of(config: Config, listener: Listener) -> Source:
    """Who may send to a listener, and how each is read."""
    settings = settings_of(config, listener)
    return Source(
        name=listener.name,
        senders=[_sender(settings, listener, source) for source in listener.sources]
        or [_sender(settings, listener, SenderSource())],
        close_on_failure=listener.on_failure == "close",
    )


def _sender(settings: Settings, listener: Listener, source: SenderSource) -> Sender:
    rules = {name: getattr(listener, name) for name in SenderRules.model_fields}
    rules |= {name: getattr(source, name) for name in source.model_fields_set & SenderRules.model_fields.keys()}
    types = frozenset((kind, trigger) for kind, _, trigger in (one.partition("^") for one in rules["message_types"]))
    return Sender(
        settings=settings,
        application=source.application,
        facility=source.facility,
        charset=rules["charset"],
        override_charset=rules["override_charset"],
        undecodable=rules["undecodable"],
        message_types=types or SERVED,
        unserved=rules["unserved_types"],
        acknowledge=rules["acknowledge"],
        conformance=rules["conformance"],
        conformance_version=rules["conformance_version"],
    )


def door_of(listener: Listener) -> Door:
    """Who a listener lets in. Raises `ConfigError` when a certificate or key cannot be used."""
    return Door(
        tls=_tls_of(f"hl7.listeners {listener.name}: tls", listener.tls) if listener.tls is not None else None,
        addresses=tuple(ipaddress.ip_network(one, strict=False) for one in listener.allowed_addresses),
        certificate_names=frozenset(listener.allowed_certificates),
    )


def _tls_of(key: str, tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 and later (BCP 195, PS3.15 B.9); with `client_ca`, only clients that show a certificate of it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty password, not None: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password or "")
    except OSError as error:
        why = f"{tls.certificate} with {tls.key} cannot be used ({_reason(error)})"
        raise ConfigError([f"{key}.certificate: {why}; give PEM files that belong together"]) from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            raise ConfigError([f"{key}.client_ca: {tls.client_ca} cannot be used ({_reason(error)})"]) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)


def make_reader(config: Config, mappings: mapping.Mappings) -> MessageReader:
    """Reads messages of all listeners, kept ones too."""
    listeners = config.hl7.listeners or [Listener()]
    sources = {listener.name: source_of(config, listener) for listener in listeners}
    return MessageReader(mappings.orders, mappings.worklist_files, sources, sources[listeners[0].name])


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
    """Stations 1 and 2 for one listener."""
    policy = scheduling_policy(config)
    source = source_of(config, listener)
    checks = conformance or Conformance(store, reader)
    return OrderIntake(store, reader, partial(scheduling.apply, policy=policy), source, clock, checks)


async def why(
    config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, accession: str, station: str
) -> Why | None:
    """What keeps an order off a scanner; None when nothing was ordered under this accession number."""
    rules = rules_of(config, mappings)
    return await store.read(lambda connection: explain(connection, config.dicom, rules, accession, station, clock()))


async def replay_message(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, message: int) -> str:
    """Work on a kept message again as its own listener would; returns the acknowledgement code."""
    row = await store.read(lambda connection: messages.get(connection, message))
    if row is None:
        raise UnknownKey(f"there is no message {message}", place=f"message {message}")
    return await intakes(config, store, make_reader(config, mappings), clock)(row["listener"]).replay(message)


def intakes(config: Config, store: Store, reader: MessageReader, clock: Clock) -> Callable[[str], OrderIntake]:
    """The intake of each listener by its name, for kept messages; of one that is no longer configured, the first."""
    listeners = {listener.name: listener for listener in config.hl7.listeners or [Listener()]}
    made = {name: make_intake(config, listener, store, reader, clock) for name, listener in listeners.items()}
    first = next(iter(made.values()))
    return lambda name: made.get(name, first)


def make_arrival(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock) -> StudyArrival:
    return StudyArrival(store, mappings.studies.keywords, config.studies.quiet_seconds, clock)


def make_station6(config: Config, store: Store, mappings: mapping.Mappings, clock: Clock) -> ImagingStudyStation:
    targets = [Target(ehr.name, shape_of(ehr), ehr.patient == "create") for ehr in config.ehrs]
    served = Shape(endpoint=facade.ENDPOINT) if config.facade.enabled else None
    return ImagingStudyStation(store, mappings.studies, targets, clock, served=served, zone=config.site.zone)


def shape_of(ehr: Ehr) -> Shape:
    """How `ehr` wants a study to be said."""
    instances = {"all": None, "none": 0}.get(str(ehr.instances), ehr.instances)
    assert not isinstance(instances, str)
    endpoint = CONTAINED_ENDPOINT if ehr.endpoints else ""
    return Shape(ehr.fhir_version, ehr.resource, ehr.series == "all", instances, endpoint)


@asynccontextmanager
async def running(config: Config, clock: Clock = system_clock) -> AsyncIterator[Running]:
    """Serve while the context is open. Raises `ConfigError` (with the cure) or `Unavailable` when it cannot start.

    A background task that fails ends the context with its error: a gateway that serves half is worse than none.
    """
    mappings = load_mappings(config)
    async with AsyncExitStack() as stack:
        _only_one(config.database.url, stack)
        store = await Store.open(config.database.url)
        stack.push_async_callback(store.close)
        if store.engine.dialect.name == "sqlite":
            await store.write(outbox.release_all)
        group = await stack.enter_async_context(_background())

        clients = {ehr.name: await stack.enter_async_context(client_of(ehr)) for ehr in config.ehrs}
        group.create_task(asyncio.to_thread(warm_up), name="warm up")
        worker = Worker(store, _kinds(config, store, mappings, clients, clock), clock)
        task = group.create_task(worker.run(), name="worker")
        # Before the clients close: work that met a closed one would look as if something were wrong with it.
        stack.push_async_callback(_end, task)

        listeners = {}
        reader = make_reader(config, mappings)
        conformance = Conformance(store, reader)
        stack.push_async_callback(_end, group.create_task(conformance.run(), name="conformance"))
        for listener in config.hl7.listeners:
            intake = make_intake(config, listener, store, reader, clock, conformance)
            listeners[listener.name] = await _listen(listener, intake, stack)
        dicom = await _serve_dicom(config, store, mappings, clock, stack)

        async def components() -> dict[str, Component]:
            found = {
                f"hl7 {name}": Component(True, f"port {server.port}, {server.connections} connections")
                for name, server in listeners.items()
            }
            found["dicom"] = Component(True, f"port {dicom.port}, {dicom.associations} associations")
            found["worker"] = Component(not task.done(), "working" if not task.done() else "stopped")
            return found

        page = build(
            store,
            token=config.http.token,
            components=components,
            replay_message=lambda one: replay_message(config, store, mappings, clock, one),
            why=lambda accession, station: why(config, store, mappings, clock, accession, station),
            clock=clock,
            version=VERSION,
            published_keys=published_keys(config),
            hidden_states=config.dicom.hidden_states,
            mounted=_mounted(config, store, clock),
        )
        if config.facade.enabled:
            stack.push_async_callback(_end, group.create_task(_fill(store, clock), name="facade"))
        http_port = await _serve_http(config, page, stack)
        yield Running(store, {name: server.port for name, server in listeners.items()}, dicom.port, http_port, worker)


def _mounted(config: Config, store: Store, clock: Clock) -> dict[str, web.Application]:
    """What is served beside the console, by its path."""
    if not config.facade.enabled:
        return {}
    login = guard(config.facade.token or config.http.token, frozenset({f"{FACADE}/metadata"}))
    served = facade.build(
        store,
        path=FACADE,
        guard=login,
        zone=config.site.zone,
        version=VERSION,
        now=clock(),
        public_url=config.facade.url or "",
        wado_rs_url=config.site.wado_rs_url,
    )
    return {FACADE: served}


async def _fill(store: Store, clock: Clock) -> None:
    """A database that is away puts it off until the next start."""
    try:
        if number := await facade.fill(store, clock):
            log.info("%d studies that were here before are being read for %s", number, FACADE)
    except Unavailable as error:
        log.warning("studies that were here before are not in %s until the next start: %s", FACADE, error)


def spare_collections() -> None:
    """What start-up left behind lives on; without this each full collection walks it and stops us for 100 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@asynccontextmanager
async def _background() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group; one error that ends it comes out as itself, so that callers can name it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise


def _only_one(url: str, stack: AsyncExitStack) -> None:
    """Two gateways on one SQLite file would take each other's work for left over; PostgreSQL is made for several."""
    file = sqlite_file(url)
    if file is None:
        return
    path = Path(f"{file}.lock")
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigError([f"database.url: {path} cannot be opened ({error.strerror})"]) from error
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigError([f"database.url: another gateway works on {file}; stop it, or use PostgreSQL"]) from error


def _kinds(
    config: Config, store: Store, mappings: mapping.Mappings, clients: dict[str, FhirClient], clock: Clock
) -> dict[str, Kind]:
    station = make_station6(config, store, mappings, clock)
    kinds = {SETTLE: Kind(station.settle, concurrency=2)}
    if told := [(ehr.name, ehr.fhir_version) for ehr in config.ehrs if ehr.orders == "write"]:
        kinds[REQUEST] = Kind(ServiceRequestStation(store, mappings.studies.settings, told, clock).tell, concurrency=2)
    if config.facade.enabled:
        kinds[SERVE] = Kind(station.serve, concurrency=1)
    for ehr in config.ehrs:
        longest = min(ehr.retry.max_seconds, LONGEST_SILENCE_SECONDS)
        breaker = Breaker(ehr.name, clock, first_seconds=ehr.retry.first_seconds, longest_seconds=longest)
        client = clients[ehr.name]
        writer = writer_of(ehr, client)
        orders: Mode = "identifier" if ehr.orders == "identifier" else "find"
        links = EhrLinks(client, writer.capabilities, {"Patient": ehr.patient, "ServiceRequest": orders})
        kinds[f"{EHR}{ehr.name}"] = Kind(
            EhrDelivery(ehr.name, store, writer, clock, breaker, links).deliver,
            concurrency=ehr.concurrency,
            first_retry_seconds=ehr.retry.first_seconds,
            max_retry_seconds=ehr.retry.max_seconds,
            gate=breaker,
        )
    return kinds


def writer_of(ehr: Ehr, client: FhirClient) -> FhirWriter:
    """How resources are brought to `ehr`."""
    return FhirWriter(
        client,
        way=None if ehr.write == "auto" else Way(ehr.write),
        duplicates=ehr.duplicates,
        when_deleted=ehr.when_deleted,
        timeout_seconds=ehr.timeout_seconds,
    )


async def _listen(listener: Listener, intake: OrderIntake, stack: AsyncExitStack) -> MllpServer:
    limits = Limits(
        max_message_bytes=listener.max_message_bytes,
        idle_seconds=listener.idle_seconds,
        message_seconds=listener.message_seconds,
        max_connections=listener.max_connections,
    )

    def noise(peer: Peer, skipped: bytes) -> None:
        log.warning("%s: %s sent %d bytes outside of a frame", listener.name, peer.host, len(skipped))

    def turned_away(peer: Peer, reason: str, why: str) -> None:
        metrics.REFUSED.labels(listener.name, reason).inc()
        log.warning("%s: connection from %s refused (%s): %s", listener.name, peer.host, reason, why)

    server = MllpServer(
        intake.receive,
        limits,
        on_noise=noise,
        on_refused=intake.refuse,
        on_turned_away=turned_away,
        door=door_of(listener),
        release=listener.mllp_release,
    )
    key = f"hl7.listeners {listener.name}"
    await _bind(key, listener.host, listener.port, lambda: server.start(listener.host, listener.port))
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    log.info("HL7 orders for %s on %s:%d", listener.name, listener.host, server.port)
    return server


async def _serve_dicom(
    config: Config, store: Store, mappings: mapping.Mappings, clock: Clock, stack: AsyncExitStack
) -> DimseServer:
    dicom = config.dicom
    queries = QueryLog(store)
    stack.push_async_callback(queries.close)
    worklist = Worklist(store, rules_of(config, mappings), clock, queries)
    arrival = make_arrival(config, store, mappings, clock)
    server = DimseServer(
        policy=policy_of(dicom),
        find=worklist.find,
        store=arrival.store,
        implementation_uid=_implementation_uid(config),
        max_bytes=dicom.max_pdu_bytes,
        max_data_set_bytes=dicom.max_object_bytes,
        idle_seconds=dicom.idle_seconds,
    )
    stack.push_async_callback(server.stop, GRACE_SECONDS)
    for key, port, tls in dicom_ports(dicom):
        listening = await _bind(key, dicom.host, port, partial(server.start, dicom.host, port, tls))
        log.info("DICOM as %s on %s:%d%s", dicom.ae_title, dicom.host, listening, " with TLS" if tls else "")
    return server


def rules_of(config: Config, mappings: mapping.Mappings) -> Rules:
    """What the site says of its worklist."""
    dicom = config.dicom
    return Rules(
        hidden_states=dicom.hidden_states,
        max_matches=dicom.max_worklist_matches,
        pn_implicit_wildcard=dicom.pn_implicit_wildcard,
        zone=config.site.zone,
        started_grace_seconds=dicom.started_grace_seconds,
        known=mappings.orders.tags | WITHOUT_MAPPING if dicom.warn_of_unknown_keys else None,
        stations=mappings.stations,
    )


def dicom_ports(dicom: Dicom) -> Iterator[tuple[str, int, ssl.SSLContext | None]]:
    """Key, port and TLS of each DICOM port. Raises `ConfigError` when a certificate cannot be used."""
    if dicom.tls is None or not dicom.tls.only:
        yield "dicom", dicom.port, None
    if dicom.tls is not None:
        yield "dicom.tls", dicom.tls.port, _tls_of("dicom.tls", dicom.tls)


def policy_of(dicom: Dicom) -> Policy:
    """Who may associate with us, and for what."""
    peers = {title: DimsePeer() for title in dicom.allowed_calling_aes}
    for peer in dicom.peers:
        peers[peer.ae_title] = DimsePeer(
            addresses=tuple(ipaddress.ip_network(one, strict=False) for one in peer.allowed_addresses),
            certificate_names=frozenset(peer.allowed_certificates),
            services=frozenset(peer.services),
            max_associations=peer.max_associations,
            user=peer.user,
            passcode=peer.passcode,
        )
    return Policy(
        ae_title=dicom.ae_title,
        check_called_ae=dicom.check_called_ae,
        peers=peers,
        others=None if dicom.allowed_calling_aes else DimsePeer(),
        max_associations=dicom.max_associations,
    )


def _implementation_uid(config: Config) -> str:
    root = config.site.uid_root
    return derived_uid("implementation") if root == "2.25" else f"{root}.1"


async def _serve_http(config: Config, page: web.Application, stack: AsyncExitStack) -> int:
    http = config.http
    runner = web.AppRunner(page, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, http.host, http.port)
    await _bind("http", http.host, http.port, site.start)
    port = int(runner.addresses[0][1])
    log.info("console on http://%s:%d/", http.host, port)
    if config.facade.enabled:
        asked = "a token" if config.facade.token or http.token else "no login"
        log.info("studies are read at http://%s:%d%s with %s", http.host, port, FACADE, asked)
    return port


async def _bind(key: str, host: str, port: int, start: Callable[[], Any]) -> Any:
    try:
        return await start()
    except OSError as error:
        raise ConfigError(
            [f"{key}: cannot listen on {host}:{port} ({error.strerror or error}); free the port or choose another"]
        ) from error
