"""Reading the state: what the database has in one transaction, what the disks say, what the process sees."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.errors import Unavailable
from gateway.operations.state.certificates import certificate_parts
from gateway.operations.state.chain import chain_part
from gateway.operations.state.components import PROBE_SECONDS, Component, examine
from gateway.operations.state.database import backup_part, database_part, writing_part
from gateway.operations.state.disks import disk_parts
from gateway.operations.state.part import ORDER, Kind, Level, Part, State, moments
from gateway.operations.state.receivers import Outgoing, receiver_part, worker_part
from gateway.operations.state.repositories import repository_part
from gateway.operations.state.retention import RetentionKept, retention_part
from gateway.operations.state.senders import (
    Sent,
    dicom_part,
    examinations_part,
    listener_part,
    scanner_parts,
    unreadable_part,
)
from gateway.operations.state.sources import Loaded, Process, Refused, Sources
from gateway.operations.state.spool import SpoolSeen, spool_part
from gateway.records.receiver import Receiver
from gateway.store import (
    Store,
    audit_listing,
    erasures,
    legal_holds,
    pauses,
    pixel_files,
    recent,
    retention_runs,
    silent_steps,
    source_watermarks,
)
from gateway.store import waiting as waiting_work
from gateway.store.audit_listing import RepositoryStanding

HOUR: Final = 3_600 * 1_000_000
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the database has."""

    sent: Sent
    outgoing: Outgoing
    backup_at: int | None
    retention: RetentionKept
    repositories: Sequence[RepositoryStanding]
    missing_files: int
    firsts: tuple[int, int]
    """Ids of the first messages of the last hour and of the last day."""


async def state_of(store: Store, sources: Sources) -> State:
    """The state of every part, the database first. Parts that only the database knows of are left out while it does
    not answer."""
    now = sources.clock()
    components, kept, outside, spool = await asyncio.gather(
        _components(store, sources.process),
        _kept(store, sources, now),
        asyncio.to_thread(_outside, sources, now),
        asyncio.to_thread(_spool, sources.process),
    )
    parts = [
        database_part(components.pop("database")),
        writing_part(components.pop("writing"), store, now),
        *outside,
        *(_of_kept(kept, sources, components, now) if kept is not None else ()),
        *_of_process(components, sources.process),
    ]
    if kept is not None:
        parts.append(backup_part(kept.backup_at, now, store.engine.dialect.name))
        parts.append(retention_part(kept.retention, sources.setup.has_ages, now))
        if spool is not None:
            parts.append(spool_part(spool, kept.missing_files))
    return State(now, sources.version, sorted(parts, key=lambda part: ORDER[part.kind]))


async def _components(store: Store, process: Process | None) -> dict[str, Component]:
    async def none() -> dict[str, Component]:
        return {}

    return await examine(store, process.components if process is not None else none)


async def _kept(store: Store, sources: Sources, now: int) -> _Kept | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            kept = await store.read(partial(_read, sources=sources, now=now))
    except (Unavailable, TimeoutError):
        return None
    sources.newest, sources.firsts, sources.looked_at = dict(kept.sent.newest), kept.firsts, now
    return kept


def _read(connection: Connection, sources: Sources, now: int) -> _Kept:
    setup = sources.setup
    # Where the clock was set back, they may lie before those that were found last.
    low = sources.firsts if sources.firsts is not None and now >= sources.looked_at else (None, None)
    of_hour = recent.first_since(connection, "messages", now - HOUR, low=low[0])
    of_day = recent.first_since(connection, "messages", now - DAY, low=low[1])
    hour = recent.messages_since(connection, of_hour)
    newest = sources.newest or {name: one.last_at for name, one in recent.messages_since(connection, 0).items()}
    newest = {**newest, **{name: one.last_at for name, one in hour.items()}}
    sent = Sent(
        hour=hour,
        newest=newest,
        wrong=recent.not_applied_since(connection, of_day),
        queries=recent.last_queries(connection),
        refusals=recent.refused_since(connection, now - DAY),
        silent=silent_steps.count(connection),
    )
    outgoing = _outgoing(connection, setup.receivers)
    retention = RetentionKept(
        retention_runs.last(connection), erasures.count_unfinished(connection), legal_holds.count(connection)
    )
    named = audit_listing.repositories(connection) if setup.repositories else ()
    repositories = [one for one in named if one.name in setup.repositories]
    missing = pixel_files.missing(connection)
    return _Kept(sent, outgoing, recent.last_backup(connection), retention, repositories, missing, (of_hour, of_day))


def _outgoing(connection: Connection, receivers: Sequence[Receiver]) -> Outgoing:
    kinds = [kind for receiver in receivers for kind in receiver.counted_kinds]
    return Outgoing(
        waiting=waiting_work.waiting(connection, kinds),
        stuck=waiting_work.stuck(connection),
        paused={name: pause.since for name, pause in pauses.listing(connection).items()},
        sources=source_watermarks.of_receivers(connection, receivers),
    )


def _outside(sources: Sources, now: int) -> list[Part]:
    setup = sources.setup
    return [*disk_parts(setup.folders), *certificate_parts(setup.certificates, now)]


def _spool(process: Process | None) -> SpoolSeen | None:
    return process.spool() if process is not None and process.spool is not None else None


def _of_kept(kept: _Kept, sources: Sources, components: dict[str, Component], now: int) -> list[Part]:
    """Takes what it shows out of `components`."""
    setup, process, sent = sources.setup, sources.process, kept.sent
    refused = _refused(sent, process)
    scanners = frozenset(setup.scanners) | sent.queries.keys()
    silences = process.silences() if process is not None else {}
    parts = [listener_part(name, components.pop(f"hl7 {name}", None), sent) for name in setup.listeners]
    if (unreadable := unreadable_part(sent)) is not None:
        parts.append(unreadable)
    parts += [
        dicom_part(components.pop("dicom", None), sent, refused, scanners),
        *scanner_parts(scanners, sent, refused, now),
        examinations_part(sent),
        *(receiver_part(one, kept.outgoing, silences, now) for one in setup.receivers),
        worker_part(components.pop("worker", None), kept.outgoing, setup.receivers),
        *(repository_part(one, now) for one in kept.repositories),
    ]
    return parts


def _refused(sent: Sent, process: Process | None) -> list[Refused]:
    """What the process has seen, and what was kept of processes before it."""
    kept = [Refused(one.calling_ae, "", one.reason, one.refused_at) for one in sent.refusals if one.calling_ae]
    return [*reversed(kept), *(process.refused() if process is not None else ())]


KIND_OF: Final[Mapping[str, Kind]] = {"dicom": Kind.DICOM, "worker": Kind.WORKER, "clock": Kind.CLOCK}


def _of_process(components: Mapping[str, Component], process: Process | None) -> list[Part]:
    """The components that nothing of the database belongs to."""
    parts = []
    for name, component in components.items():
        kind = KIND_OF.get(name, Kind.GATEWAY)
        level = Level.BAD if not component.ok else Level.GOOD if component.is_whole else Level.WARN
        parts.append(Part(kind, "" if name in KIND_OF or name == "gateway" else name, level, component.detail))
    if process is None:
        return parts
    if (chain := process.chain()) is not None:
        parts.append(chain_part(chain))
    if (loaded := process.loaded()) is not None:
        parts.append(_configuration(loaded))
    return parts


def _configuration(loaded: Loaded) -> Part:
    facts = moments(in_force_since=loaded.at, tried_to_reload=loaded.tried_at)
    if not loaded.faults:
        return Part(Kind.CONFIGURATION, "", Level.GOOD, "is in force", facts)
    detail = f"the files have changed and cannot be used; what was read before is in force: {loaded.faults[0]}"
    return Part(Kind.CONFIGURATION, "", Level.BAD, detail, facts)
