"""Reload without a restart: mappings, rules of scanners, certificates, tokens, log level. A fault keeps all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import Connection

from gateway.assembly import tls
from gateway.assembly.http_receivers import authorization_of
from gateway.assembly.mappings import load_mappings
from gateway.assembly.people import Tokens
from gateway.assembly.processes.place import ProcessPlace
from gateway.assembly.worklist import rules_of
from gateway.clock import Clock
from gateway.config.ehrs import Ehr
from gateway.config.tree import Config
from gateway.errors import ConfigError
from gateway.journey.study_arrival.station import StudyArrival
from gateway.journey.worklist.station import Worklist
from gateway.mapping import Mappings
from gateway.mapping.in_force import MappingsInForce
from gateway.observe import logs
from gateway.operations.reloading import Reloaded
from gateway.operations.state.sources import Loaded
from gateway.records.identifiers import StudyInstanceUID
from gateway.wire.fhir import FhirClient
from gateway.wire.oauth.authorization import Authorization

log = logging.getLogger(__name__)

TAKEN: Final = frozenset({"mappings.overlay", "log.level", "http.token", "facade.token"})
"""Keys whose new value a reload puts in force; of `ehrs` those are `token` and `auth`."""
_OF_EHRS: Final = {"token": None, "auth": None}
"""They wait for a restart with the address of their EHR: a new login is no matter of the server at the old one."""


@dataclass(slots=True)
class Reloadable:
    """The parts of a running gateway that take what is reloaded."""

    mappings: MappingsInForce
    tokens: Tokens
    clients: Mapping[str, FhirClient] = field(default_factory=dict)
    """By the name of the EHR."""
    worklist: Worklist | None = None
    arrival: StudyArrival | None = None

    async def read_again(self, study_uid: StudyInstanceUID, first: Callable[[Connection], None]) -> int:
        """Read a study anew, as `StudyArrival.replay` does."""
        assert self.arrival is not None
        return await self.arrival.replay(study_uid, first)


@dataclass(frozen=True, slots=True)
class _Read:
    """What the files say now, and what was made of it."""

    config: Config
    """In force with it."""
    waiting: list[str]
    """Keys that only a restart puts in force."""
    mappings: Mappings
    authorizations: dict[str, Authorization]
    """Of the EHRs whose login has changed."""


class Reloader:
    """`reload` reads the files; `reread` gives the configuration as it is now, and raises `ConfigError`; `on_reload` is
    called with the moment, and whether what was read is in force."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config] | None,
        parts: Reloadable,
        clock: Clock,
        *,
        on_reload: Callable[[int, bool], None] = lambda moment, is_in_force: None,
    ) -> None:
        self._on_reload = on_reload
        self._begun_with = self._config = config
        self._reread = reread or (lambda: config)
        self._parts = parts
        self._clock = clock
        self._loaded = Loaded(clock())
        self._one = asyncio.Lock()

    @property
    def config(self) -> Config:
        """In force, but for what waits for a restart."""
        return self._config

    def loaded(self) -> Loaded:
        """What is in force, for the state of the gateway."""
        return self._loaded

    async def reload(self) -> Reloaded:
        """Put in force what the files say now; with a fault in any of them, all stays as it was."""
        async with self._one:
            now = self._clock()
            try:
                read = await asyncio.to_thread(self._read)
                # The one part that can still fail: its files may have changed since they were read.
                tls.load_again()
            except ConfigError as error:
                faults = [str(fault) for fault in error.faults]
                log.warning("not reloaded, what was read before stays in force: %s", "; ".join(faults))
                self._loaded = Loaded(self._loaded.at, faults, now)
                self._on_reload(now, False)
                return Reloaded(now, faults)
            self._apply(read)
            self._loaded = Loaded(now)
            self._on_reload(now, True)
            log.info("reloaded: mappings, scanners, certificates, tokens and log level")
            if read.waiting:
                log.warning("changed, and in force only after a restart: %s", ", ".join(read.waiting))
            return Reloaded(now, waits_for_restart=read.waiting)

    def _read(self) -> _Read:
        written = self._reread()
        config = in_force(self._config, written)
        # Zone, names and authorities stay those of the start: other parts hold them.
        mappings = load_mappings(config)
        authorizations = {
            ehr.name: authorization_of(ehr)
            for ehr, former in zip(config.ehrs, self._config.ehrs, strict=True)
            if ehr.auth != former.auth
        }
        tls.check_again()
        return _Read(config, list(changed_keys(self._begun_with, written)), mappings, authorizations)

    def _apply(self, read: _Read) -> None:
        parts, config = self._parts, read.config
        parts.mappings.replace(read.mappings)
        if parts.worklist is not None:
            parts.worklist.adopt(rules_of(self._begun_with, read.mappings))
        if parts.arrival is not None:
            parts.arrival.adopt(read.mappings.studies.keywords, read.mappings.studies.rules)
        for name, authorization in read.authorizations.items():
            if name in parts.clients:
                parts.clients[name].authorize(authorization)
        parts.tokens.renew(config)
        logs.set_level(config.log.level)
        self._config = config


async def reload_all(reloader: Reloader, place: ProcessPlace) -> Reloaded:
    """Reload in this process, and without a fault in all others of the gateway."""
    reloaded = await reloader.reload()
    place.reload_others(are_in_force=not reloaded.faults)
    return reloaded


def in_force(former: Config, written: Config) -> Config:
    """`former` with what a reload takes over from `written`."""
    sections = {}
    for key in TAKEN:
        section, _, name = key.partition(".")
        value = getattr(getattr(written, section), name)
        sections[section] = getattr(former, section).model_copy(update={name: value})
    ehrs = {ehr.name: ehr for ehr in written.ehrs}
    return former.model_copy(
        update={**sections, "ehrs": [_logging_in(ehr, ehrs.get(ehr.name, ehr)) for ehr in former.ehrs]}
    )


def _logging_in(former: Ehr, written: Ehr) -> Ehr:
    if written.url != former.url:
        return former
    return former.model_copy(update={name: getattr(written, name) for name in _OF_EHRS})


def changed_keys(former: Config, latter: Config) -> Iterator[str]:
    """The keys that differ and that no reload puts in force, such as `http.port` and `hl7.listeners`."""
    for section in Config.model_fields:
        before, after = getattr(former, section), getattr(latter, section)
        if section == "ehrs":
            without = partial(map, lambda ehr: ehr.model_copy(update=_OF_EHRS))
            if list(without(before)) != list(without(after)):
                yield section
        else:
            yield from _changed(section, before, after)


def _changed(section: str, before: BaseModel, after: BaseModel) -> Iterator[str]:
    values: Iterator[tuple[str, Any]] = iter(before)
    for name, value in values:
        key = f"{section}.{name}"
        if key not in TAKEN and value != getattr(after, name):
            yield key
