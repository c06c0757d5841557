# Long: the start and end of a gateway in the order in which they happen.
"""The composition root: builds everything in the order of the journey and stops it in reverse."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from gateway.assembly.audit import open_audit_log, shippings
from gateway.assembly.audit_events import RefusedConnections, reloaded
from gateway.assembly.background import background, end, keep_trying
from gateway.assembly.commitment import commitment_of
from gateway.assembly.components import components as components_of
from gateway.assembly.deliveries import kinds_of_work
from gateway.assembly.destinations import forwards_of, kinds_of_destinations
from gateway.assembly.dicom_destinations import kinds_of_dicom_destinations
from gateway.assembly.ehrs import clients_of
from gateway.assembly.http import VERSION, fill_facade, mounted, serve_http
from gateway.assembly.http_receivers import published_keys
from gateway.assembly.instance_lock import hold_instance_lock
from gateway.assembly.linking import link_tools, make_silence_watch
from gateway.assembly.mappings import load_mappings
from gateway.assembly.orders import listen, make_intake, message_tools, replay_message
from gateway.assembly.page_views import page_views
from gateway.assembly.people import Doors, Tokens, first_link
from gateway.assembly.performed_steps import make_performed_steps
from gateway.assembly.pictures import pictures_of
from gateway.assembly.processes.limits import config_of, left_to_others
from gateway.assembly.processes.neighbours import Neighbours
from gateway.assembly.processes.place import ALONE, ProcessPlace
from gateway.assembly.readers import make_reader
from gateway.assembly.receivers import receivers_of
from gateway.assembly.reconcile import ReconcileJob
from gateway.assembly.refused_associations import RefusedAssociations
from gateway.assembly.reloading import Reloadable, Reloader, reload_all
from gateway.assembly.retention import RetentionJob
from gateway.assembly.spool import keep_pixels, seen_of
from gateway.assembly.state import silences_of, sources_of
from gateway.assembly.store import open_store
from gateway.assembly.studies import make_arrival, quiet_learning, study_settling
from gateway.assembly.study_sources import SourceParts, kinds_of_study_sources
from gateway.assembly.system import system_of
from gateway.assembly.worklist import make_worklist, rules_of, serve_dicom, why
from gateway.clock import Clock
from gateway.clock import elapsed as monotonic_clock
from gateway.clock import now as system_clock
from gateway.config.tree import Config
from gateway.journey.order_intake.structure import Conformance
from gateway.journey.storage_commitment.open_requests import OpenRequests
from gateway.journey.storage_commitment.station import StorageCommitment
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.study_arrival.transfers import Transfers
from gateway.mapping import Mappings
from gateway.mapping.in_force import MappingsInForce
from gateway.observe import metrics
from gateway.operations.audit.watching import ChainWatch
from gateway.operations.reloading import Reloaded
from gateway.operations.state.reading import state_of
from gateway.operations.state.shared import SharedState
from gateway.operations.state.sources import Process
from gateway.pixels.pool import Pool
from gateway.records.work import WorkKind
from gateway.store import Store
from gateway.store.audit_log import AuditLog, keep_sealing
from gateway.web.console.rendering import warm_up as load_pages
from gateway.web.server import build
from gateway.wire.hl7.mllp_server import MllpServer
from gateway.work.clock_watch import ClockWatch
from gateway.work.handling import Handling
from gateway.work.worker import Worker


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves. The ports are the real ones, where the configuration says 0."""

    store: Store
    hl7_ports: dict[str, int]
    dicom_port: int
    http_port: int
    worker: Worker
    reload: Callable[[], Awaitable[Reloaded]]
    """Put in force what the files of the configuration say now, in this process."""
    reload_all: Callable[[], Awaitable[Reloaded]]
    """The same, and without a fault in all processes."""
    first_link: str = ""
    """Path of the page on which the first admin sets a password; empty: an admin can log in."""


@asynccontextmanager
async def running(
    config: Config,
    clock: Clock = system_clock,
    elapsed: Clock | None = None,
    *,
    paused: bool = False,
    reread: Callable[[], Config] | None = None,
    place: ProcessPlace = ALONE,
) -> AsyncIterator[Running]:
    """Serve while the context is open. Raises `ConfigError` (with the cure) or `Unavailable` when it cannot start.

    A worker that fails ends the context with its error: a gateway that serves half is worse than none. Jobs that nobody
    waits for are tried again (`keep_trying`). `elapsed` measures what waits; None: the monotonic clock, or `clock`
    where that is not the system's. `paused`: nothing is sent to any receiver until it is resumed.
    `reread` gives the configuration as its files are at a reload; None: as it is. `place`: of the process among those
    that share the ports.
    """
    elapsed = elapsed or (monotonic_clock if clock is system_clock else clock)
    reloadable = Reloadable(MappingsInForce(load_mappings(config)), Tokens.of(config))
    mappings = reloadable.mappings.view
    async with AsyncExitStack() as stack:
        hold_instance_lock(config.database.url, stack)
        store = await open_store(config, clock, elapsed, stack, place, paused=paused)
        audit_log = open_audit_log(store, clock, stack)
        group = await stack.enter_async_context(background())
        pool = await stack.enter_async_context(Pool())
        requests = OpenRequests()
        commitment = commitment_of(config, store, clock, requests)
        parts = _Parts(
            config, store, mappings, clock, stack, group, reloadable, audit_log, pool, requests, commitment, place
        )
        yield await _started(parts, elapsed, reread)


async def _started(parts: _Parts, elapsed: Clock, reread: Callable[[], Config] | None) -> Running:
    """Start all parts, in the order of the journey."""
    metrics.BUILD.labels(VERSION, platform.python_version()).set(1)
    config, store, mappings, clock, stack = parts.config, parts.store, parts.mappings, parts.clock, parts.stack
    reloadable = parts.reloadable
    parts.start("pulse", store.pulse.run())
    parts.start("audit", keep_trying("chaining of the audit trail", partial(keep_sealing, store), longest_seconds=5.0))
    jumps = ClockWatch(clock, elapsed)
    parts.start("clock", jumps.run())
    keeping, pixels = await keep_pixels(config, store, clock, stack, parts.start)
    arrival = reloadable.arrival = make_arrival(config, store, mappings, clock, Transfers(parts.audit_log.note), pixels)
    worker, working, kinds = await _start_worker(parts, arrival)
    _send_audit(parts)
    listeners = await _start_listeners(parts)
    worklist = reloadable.worklist = make_worklist(config, store, mappings, clock, stack)
    performed = make_performed_steps(config, store, mappings, clock)
    _start_watches(parts, jumps, arrival)
    refused = RefusedAssociations(store, clock)
    stack.push_async_callback(refused.close)
    dicom = await serve_dicom(
        config, store, arrival, clock, stack, worklist, performed, refused, parts.commitment, parts.place
    )
    reloader = Reloader(
        config, reread, reloadable, clock,
        on_reload=lambda moment, is_in_force: parts.audit_log.note(reloaded(moment, is_in_force=is_in_force)),
    )  # fmt: skip
    neighbours = Neighbours(parts.place, partial(silences_of, kinds, store))
    await neighbours.begin(stack)
    components = partial(components_of, listeners, dicom, working, jumps, neighbours)
    silences, chain = neighbours.all_silences, _watch_chain(parts).standing
    process = Process(components, silences, refused.seen, reloader.loaded, chain, seen_of(keeping))
    doors = Doors.of(config, store, clock, reloadable.tokens, stack)
    link = await first_link(config, store, clock) if parts.place.is_first else ""
    beside = mounted(config, store, clock, worklist, performed, parts.commitment, arrival, doors, parts.audit_log.note)
    http_port = await _start_http(parts, process, beside, reloader, doors, neighbours)
    return Running(
        store, {name: one.port for name, one in listeners.items()}, dicom.port, http_port, worker, reloader.reload,
        partial(reload_all, reloader, parts.place), link,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every part of the gateway is made of."""

    config: Config
    store: Store
    mappings: Mappings
    clock: Clock
    stack: AsyncExitStack
    """Stops what was started, in reverse."""
    group: asyncio.TaskGroup
    reloadable: Reloadable
    audit_log: AuditLog
    pool: Pool
    requests: OpenRequests
    commitment: StorageCommitment | None
    place: ProcessPlace

    def start(self, name: str, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `job` until the gateway stops."""
        task = self.group.create_task(job, name=name)
        self.stack.push_async_callback(end, task)
        return task


def _start_watches(parts: _Parts, jumps: ClockWatch, arrival: StudyArrival) -> None:
    config, store, mappings, clock = parts.config, parts.store, parts.mappings, parts.clock
    watch = make_silence_watch(config, store, mappings, clock, jumps.since)
    parts.start("silence", keep_trying("the watch over examinations that hang", watch.run))
    parts.start(
        "reconcile", keep_trying("comparing archive and EHRs", ReconcileJob(config, store, mappings, clock).run)
    )
    parts.start("retention", keep_trying("deleting by age", RetentionJob.of(config, store, clock).run))
    if (learning := quiet_learning(config, store, arrival)) is not None:
        parts.start("quiet times", keep_trying("learning how long stations pause", learning.run))


def _send_audit(parts: _Parts) -> None:
    """Send the audit trail to its repositories, and to the EHRs that take it."""
    for shipping in shippings(parts.config, parts.store, parts.reloadable.clients, parts.clock):
        sending = keep_trying("sending of the audit trail", shipping.run, longest_seconds=60.0)
        parts.start("audit repository", sending)


def _watch_chain(parts: _Parts) -> ChainWatch:
    watch = ChainWatch(parts.store, parts.audit_log.note, parts.clock)
    parts.start("chain, newest", keep_trying("the check of the newest events of the audit trail", watch.keep_newest))
    parts.start("chain", keep_trying("the check of the audit trail", watch.keep_whole))
    return watch


async def _start_worker(
    parts: _Parts, arrival: StudyArrival
) -> tuple[Worker, asyncio.Task[None], Mapping[WorkKind, Handling]]:
    config, store, mappings, clock = config_of(parts.config, parts.place), parts.store, parts.mappings, parts.clock
    parts.reloadable.clients = clients = await clients_of(config, parts.stack)
    station = study_settling(config, store, mappings, clock, arrival.read_again)
    parts.start("warm up", keep_trying("loading of what the first study takes", station.prepare))
    kinds = kinds_of_work(config, store, mappings, clients, station, clock)
    kinds |= kinds_of_destinations(config, store, mappings, clock, parts.stack)
    kinds |= await kinds_of_dicom_destinations(
        config, store, mappings, clock, parts.stack, parts.audit_log.note, parts.requests
    )
    kinds |= await kinds_of_study_sources(SourceParts(config, store, mappings, arrival, clock, parts.stack))
    left = left_to_others(parts.config, parts.place)
    kinds = {kind: handling for kind, handling in kinds.items() if kind not in left}
    worker = Worker(store, kinds, clock, store.steady, parts.place.holder)
    # Ends before the clients close: a delivery that met a closed client would look as if something were wrong with it.
    return worker, parts.start("worker", worker.run()), kinds


async def _start_listeners(parts: _Parts) -> dict[str, MllpServer]:
    reader = make_reader(parts.config, parts.mappings)
    checks = Conformance(parts.store, reader)
    parts.start("conformance", keep_trying("the check of structures", checks.run))
    servers = {}
    refused = RefusedConnections(parts.audit_log.note, parts.clock)
    for listener in parts.config.hl7.listeners:
        intake = make_intake(
            parts.config, listener, parts.store, reader, parts.clock, checks, forwards_of(parts.config)
        )
        servers[listener.name] = await listen(listener, intake, parts.stack, refused, parts.place)
    return servers


async def _start_http(
    parts: _Parts,
    process: Process,
    beside: Mapping[str, web.Application],
    reloader: Reloader,
    doors: Doors,
    neighbours: Neighbours,
) -> int:
    config, store, mappings, clock = parts.config, parts.store, parts.mappings, parts.clock
    sources = await asyncio.to_thread(sources_of, config, clock, process)
    page = build(
        store,
        door=doors.console,
        components=process.components,
        replay_message=partial(replay_message, config, store, mappings, clock),
        read_again=parts.reloadable.read_again,
        why=partial(why, config, store, mappings, clock),
        clock=clock,
        version=VERSION,
        published_keys=published_keys(config),
        hidden_states=config.dicom.hidden_states,
        first_day=rules_of(config, mappings).first_day,
        mounted=beside,
        links=link_tools(config, mappings),
        receivers=receivers_of(config),
        views=page_views(config, store, mappings, clock, pictures_of(config, parts.pool)),
        zone=config.site.zone,
        state=SharedState(partial(state_of, store, sources)),
        all_metrics=neighbours.all_metrics,
        system=system_of(config, reloader, parts.place),
        message_tools=partial(message_tools, config, store, mappings, clock),
        note=parts.audit_log.note,
    )
    _start_page_jobs(parts)
    return await serve_http(config, page, parts.stack, parts.place)


def _start_page_jobs(parts: _Parts) -> None:
    """What pages need soon, beside the start."""
    parts.start("pages", keep_trying("loading of pages", partial(asyncio.to_thread, load_pages)))
    if parts.config.facade.enabled:
        filling = partial(fill_facade, parts.store, parts.clock)
        parts.start("facade", keep_trying("the first filling of the facade", filling))
