"""The HTTP server: console, API and facade."""

from __future__ import annotations

import importlib.metadata
import logging
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from gateway.assembly.binding import bind
from gateway.assembly.worklist import policy_of
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.journey.performed_step.station import PerformedSteps
from gateway.journey.worklist.station import Worklist
from gateway.store import Store
from gateway.web import dicomweb, facade
from gateway.web.login import guard

log = logging.getLogger(__name__)

FACADE: Final = "/fhir"

VERSION: Final = importlib.metadata.version("imaging-gateway")


def mounted(
    config: Config, store: Store, clock: Clock, worklist: Worklist, performed_steps: PerformedSteps
) -> dict[str, web.Application]:
    """What is served beside the console, by its path."""
    policy, token = policy_of(config.dicom), config.http.token
    scanners = dicomweb.build(worklist, performed_steps, token=token, policy=policy, zone=config.site.zone)
    return {dicomweb.PATH: scanners, **_facade(config, store, clock)}


def _facade(config: Config, store: Store, clock: Clock) -> dict[str, web.Application]:
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


async def fill_facade(store: Store, clock: Clock) -> None:
    """Let studies that settled before the facade was switched on be read for the facade. Raises `Unavailable`."""
    if number := await facade.fill(store, clock):
        log.info("%d studies that were here before are being read for %s", number, FACADE)


async def serve_http(config: Config, page: web.Application, stack: AsyncExitStack) -> int:
    http = config.http
    runner = web.AppRunner(page, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, http.host, http.port)
    await bind("http", http.host, http.port, site.start)
    port = int(runner.addresses[0][1])
    log.info("console on http://%s:%d/", http.host, port)
    if config.facade.enabled:
        asked = "a token" if config.facade.token or http.token else "no login"
        log.info("studies are read at http://%s:%d%s with %s", http.host, port, FACADE, asked)
    return port
