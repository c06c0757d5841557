"""The HTTP server: console, API and facade."""

from __future__ import annotations

import importlib.metadata
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.assembly.binding import bind
from gateway.assembly.shares import http_share, limit, of_address
from gateway.assembly.worklist import policy_of
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.worklist.station import Worklist
from gateway.observe import metrics
from gateway.store import Store
from gateway.web import dicomweb, facade
from gateway.web.client_faults import server_log
from gateway.web.connections import FULL, HttpConnection, HttpTimes, watch
from gateway.web.login import Token, guard
from gateway.wire.listening import Listening
from gateway.wire.places import Denial, Places

log = logging.getLogger(__name__)

FACADE: Final = "/fhir"

VERSION: Final = importlib.metadata.version("imaging-gateway")


@dataclass(slots=True)
class Tokens:
    """Who may log in over HTTP."""

    console: Token
    facade: Token

    @classmethod
    def of(cls, config: Config) -> Tokens:
        """Those of the configuration."""
        return cls(Token(config.http.token), Token(config.facade.token or config.http.token))

    def renew(self, config: Config) -> None:
        """Ask for those of `config` from now on."""
        self.console.value = config.http.token
        self.facade.value = config.facade.token or config.http.token


def mounted(
    config: Config, store: Store, clock: Clock, worklist: Worklist, performed_steps: PerformedSteps, tokens: Tokens
) -> dict[str, web.Application]:
    """What is served beside the console, by its path."""
    policy = policy_of(config.dicom)
    scanners = dicomweb.build(worklist, performed_steps, token=tokens.console, policy=policy, zone=config.site.zone)
    return {dicomweb.PATH: scanners, **_facade(config, store, clock, tokens)}


def _facade(config: Config, store: Store, clock: Clock, tokens: Tokens) -> dict[str, web.Application]:
    if not config.facade.enabled:
        return {}
    login = guard(tokens.facade, frozenset({f"{FACADE}/metadata"}))
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


async def fill_facade(store: Store, clock: Clock) -> None:
    """Let studies that settled before the facade was switched on be read for the facade. Raises `Unavailable`."""
    if number := await facade.fill(store, clock):
        log.info("%d studies that were here before are being read for %s", number, FACADE)


async def serve_http(config: Config, page: web.Application, stack: AsyncExitStack) -> int:
    http = config.http
    runner = web.AppRunner(page, access_log=None, logger=server_log())
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    listening = _listening(config, runner)
    await bind("http", http.host, http.port, lambda: listening.start(http.host, http.port))
    stack.callback(listening.close)
    port = listening.port
    log.info("console on http://%s:%d/", http.host, port)
    if config.facade.enabled:
        asked = "a token" if config.facade.token or http.token else "no login"
        log.info("studies are read at http://%s:%d%s with %s", http.host, port, FACADE, asked)
    return port


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
        turned_away=_turned_away,
        farewell=FULL,
        most_descriptors=share.descriptors,
    )


def _cut(part: str, address: str) -> None:
    metrics.HTTP_REFUSED.labels(part).inc()
    log.warning("HTTP connection from %s ended: its %s took too long", address, part)


def _turned_away(address: str, _port: int, denial: Denial) -> None:
    metrics.HTTP_REFUSED.labels(denial.value).inc()
    log.warning("HTTP connection from %s refused: too many %s", address, denial.value)
