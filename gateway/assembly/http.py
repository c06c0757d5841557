"""The HTTP server: console, API and facade."""

from __future__ import annotations

import importlib.metadata
import logging
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from aiohttp import web

from gateway.assembly.binding import bind
from gateway.assembly.listening_ports import HTTP
from gateway.assembly.people import Doors
from gateway.assembly.processes.place import ALONE, ProcessPlace
from gateway.assembly.shares import http_share, limit, of_address
from gateway.assembly.studies import storing_of
from gateway.assembly.tls import server_tls
from gateway.assembly.worklist import policy_of
from gateway.clock import Clock
from gateway.config.fields import is_loopback
from gateway.config.http import Http
from gateway.config.tree import Config
from gateway.errors import SettingFault
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.worklist.station import Worklist
from gateway.observe import metrics
from gateway.records.audit import AuditEvent
from gateway.store import Store
from gateway.web import dicomweb, facade
from gateway.web.client_faults import server_log
from gateway.web.connections import FULL, HttpConnection, HttpTimes, watch
from gateway.web.login import guard
from gateway.wire.listening import Listening
from gateway.wire.places import Denial, Places

log = logging.getLogger(__name__)

FACADE: Final = "/fhir"

VERSION: Final = importlib.metadata.version("imaging-gateway")


def mounted(
    config: Config,
    store: Store,
    clock: Clock,
    worklist: Worklist,
    performed_steps: PerformedSteps,
    commitment: StorageCommitment | None,
    arrival: StudyArrival,
    doors: Doors,
    note: Callable[[AuditEvent], None],
) -> dict[str, web.Application]:
    """What is served beside the console, by its path."""
    policy = policy_of(config.dicom)
    storing, studies = storing_of(config, arrival), _served_studies(config, store, clock, note)
    stations = dicomweb.DicomWebContext(worklist, performed_steps, commitment, config.site.zone, storing, studies)
    scanners = dicomweb.build(stations, door=doors.console, policy=policy)
    return {dicomweb.PATH: scanners, **_facade(config, store, clock, doors, note)}


def _served_studies(
    config: Config, store: Store, clock: Clock, note: Callable[[AuditEvent], None]
) -> dicomweb.ServedStudies | None:
    """None: they are not served."""
    if not config.serves_studies:
        return None
    folder = config.studies.spool.folder
    keeps_pixels = config.studies.storage != "headers" and folder is not None
    path_of = (lambda file: folder / file) if keeps_pixels and folder is not None else None
    return dicomweb.ServedStudies(store, note, clock, path_of)


def _facade(
    config: Config, store: Store, clock: Clock, doors: Doors, note: Callable[[AuditEvent], None]
) -> dict[str, web.Application]:
    if not config.facade.enabled:
        return {}
    login = guard(doors.facade, frozenset({f"{FACADE}/metadata"}))
    served = facade.build(
        store,
        path=FACADE,
        guard=login,
        zone=config.site.zone,
        version=VERSION,
        now=clock(),
        public_url=config.facade.url or "",
        wado_rs_url=config.site.wado_rs_url,
        note=note,
    )
    return {FACADE: served}


async def fill_facade(store: Store, clock: Clock) -> None:
    """Let studies that settled before the facade was switched on be read for the facade. Raises `Unavailable`."""
    if number := await facade.fill(store, clock):
        log.info("%d studies that were here before are being read for %s", number, FACADE)


async def serve_http(config: Config, page: web.Application, stack: AsyncExitStack, place: ProcessPlace = ALONE) -> int:
    http = config.http
    if not is_loopback(http.host) and http.tls is None and not http.behind_proxy:
        log.warning(
            "http: passwords and patients' data pass %s unencrypted; set http.tls or http.behind_proxy", http.host
        )
    runner = web.AppRunner(page, access_log=None, logger=server_log())
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listening = _listening(config, runner)
    start = partial(listening.start, http.host, http.port, shared=place.ports.get(HTTP))
    await bind(HTTP, http.host, http.port, start)
    stack.callback(listening.close)
    port = listening.port
    address = address_of(config, port)
    log.info("console on %s/", address)
    if config.facade.enabled:
        asked = "a token" if config.facade.token or http.token or http.is_open else "no login, while there are no users"
        log.info("studies are read at %s%s with %s", address, FACADE, asked)
    return port


def address_of(config: Config, port: int) -> str:
    """The address of the console on `port`, as it is configured."""
    host = config.http.host
    return f"{'https' if config.http.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _listening(config: Config, runner: web.AppRunner) -> Listening:
    http, share = config.http, http_share(config, limit())
    times = HttpTimes(http.head_seconds, http.body_seconds)
    server = runner.server
    assert server is not None
    watch(server)
    return Listening(
        "HTTP",
        lambda place: HttpConnection(server(), place, times, _cut),
        Places(share.connections, of_address(share.connections, http.max_connections_per_address)),
        tls=tls_of_http(http),
        turned_away=_turned_away,
        farewell=FULL if http.tls is None else b"",
        most_descriptors=share.descriptors,
    )


def tls_of_http(http: Http) -> ssl.SSLContext | None:
    """TLS 1.2 and later; None: HTTP is not encrypted here. Raises `ConfigError` when a file cannot be used."""
    return None if http.tls is None else server_tls(http.tls, _fault_of_tls)


def _fault_of_tls(key: str, text: str) -> SettingFault:
    return SettingFault("http", f"tls.{key}: {text}")


def _cut(part: str, address: str) -> None:
    metrics.HTTP_REFUSED.labels(part).inc()
    log.warning("HTTP connection from %s ended: its %s took too long", address, part)


def _turned_away(address: str, _port: int, denial: Denial) -> None:
    metrics.HTTP_REFUSED.labels(denial.value).inc()
    log.warning("HTTP connection from %s refused: too many %s", address, denial.value)
