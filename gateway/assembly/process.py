"""The composition root: builds everything in the order of the journey and stops it in reverse."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.assembly.deliveries import kinds_of_work
from gateway.assembly.ehrs import client_of, published_keys
from gateway.assembly.http import VERSION, fill_facade, mounted, serve_http
from gateway.assembly.instance_lock import hold_instance_lock
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import listen, make_intake, make_reader, replay_message
from gateway.assembly.worklist import serve_dicom, why
from gateway.clock import Clock
from gateway.clock import now as system_clock
from gateway.config.tree import Config
from gateway.journey.order_intake.structure import Conformance
from gateway.store import Store, outbox_claims
from gateway.web.api.health import Component
from gateway.web.server import build
from gateway.wire.fhir.validation import warm_up
from gateway.work.worker import Worker

GC_ALLOCATIONS: Final = 50_000
"""New objects before the collector looks for cycles among them. Orders and items are read as many small ones, of which
Python's 700 are soon reached, and few of which make cycles."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves. The ports are the real ones, where the configuration says 0."""

    store: Store
    hl7_ports: dict[str, int]
    dicom_port: int
    http_port: int
    worker: Worker


@asynccontextmanager
async def running(config: Config, clock: Clock = system_clock) -> AsyncIterator[Running]:
    """Serve while the context is open. Raises `ConfigError` (with the cure) or `Unavailable` when it cannot start.

    A background task that fails ends the context with its error: a gateway that serves half is worse than none.
    """
    mappings = load_mappings(config)
    async with AsyncExitStack() as stack:
        hold_instance_lock(config.database.url, stack)
        store = await Store.open(config.database.url)
        stack.push_async_callback(store.close)
        if store.engine.dialect.name == "sqlite":
            await store.write(outbox_claims.release_all)
        group = await stack.enter_async_context(_background())

        clients = {ehr.name: await stack.enter_async_context(client_of(ehr)) for ehr in config.ehrs}
        group.create_task(asyncio.to_thread(warm_up), name="warm up")
        worker = Worker(store, kinds_of_work(config, store, mappings, clients, clock), clock)
        task = group.create_task(worker.run(), name="worker")
        # Before the clients close: work that met a closed one would look as if something were wrong with it.
        stack.push_async_callback(_end, task)

        listeners = {}
        reader = make_reader(config, mappings)
        conformance = Conformance(store, reader)
        stack.push_async_callback(_end, group.create_task(conformance.run(), name="conformance"))
        for listener in config.hl7.listeners:
            intake = make_intake(config, listener, store, reader, clock, conformance)
            listeners[listener.name] = await listen(listener, intake, stack)
        dicom = await serve_dicom(config, store, mappings, clock, stack)

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
            mounted=mounted(config, store, clock),
        )
        if config.facade.enabled:
            stack.push_async_callback(_end, group.create_task(fill_facade(store, clock), name="facade"))
        http_port = await serve_http(config, page, stack)
        yield Running(store, {name: server.port for name, server in listeners.items()}, dicom.port, http_port, worker)


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
