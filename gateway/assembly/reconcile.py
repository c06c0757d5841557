"""The comparison of archive, gateway and EHRs, as the configuration has them; and the job that does it once a day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from gateway import mapping
from gateway.assembly.ehrs import client_of
from gateway.assembly.studies import make_arrival
from gateway.assembly.study_sources import MAKERS, SourceParts
from gateway.clock import Clock, local_day
from gateway.config.tree import Config
from gateway.errors import ConfigError, Conflict, GatewayError
from gateway.journey.study_arrival.sources.day_range import DayLister, DayRange
from gateway.operations.reconcile import Reconciliation, Report, Span, pause
from gateway.operations.reconcile_ehr import EhrSide
from gateway.records.retention import DAY
from gateway.records.windows import Windows
from gateway.store import Store, reconciliations

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
FIRST_SECONDS: Final = 120.0
"""After a start others come first."""
NO_DAYS: Final = ("orthanc",)
"""Kinds of sources that are not listed by the day of a study."""


@asynccontextmanager
async def reconciliation(
    config: Config,
    store: Store,
    mappings: mapping.Mappings,
    clock: Clock,
    span: Span,
    *,
    sources: Sequence[str] = (),
    ehrs: Sequence[str] = (),
) -> AsyncIterator[Reconciliation]:
    """A comparison with these archives and EHRs, open for as long as the context is; without names with all that can be
    asked. Raises `ConfigError` for a name that is not configured, or a certificate or key that cannot be used."""
    archives = [one for one in config.studies.sources if one.enabled and one.kind not in NO_DAYS]
    _known("studies.sources", sources, [one.name for one in archives])
    _known("ehrs", ehrs, [one.name for one in config.ehrs])
    async with AsyncExitStack() as stack:
        days = DayRange(span.since, 1, until=span.until)
        parts = SourceParts(config, store, mappings, make_arrival(config, store, mappings, clock), clock, stack, days)
        listers = [
            DayLister(await MAKERS[one.kind](one, parts), is_narrowed=bool(one.filters))
            for one in archives
            if not sources or one.name in sources
        ]
        sides = [
            EhrSide(one.name, await stack.enter_async_context(client_of(one)), one.resource)
            for one in config.ehrs
            if not ehrs or one.name in ehrs
        ]
        yield Reconciliation(
            store, listers, sides, clock, zone=config.site.zone, is_every_archive=len(listers) == len(archives),
            left_out=[] if archives else _without_days(config),
        )  # fmt: skip


def _without_days(config: Config) -> list[str]:
    """Why archives that are sources are not compared."""
    why = "its list of changes has no days: name its DICOMweb server as a source, to compare it"
    return [f"{one.name}: {why}" for one in config.studies.sources if one.enabled and one.kind in NO_DAYS]


def _known(section: str, asked: Sequence[str], names: Sequence[str]) -> None:
    for one in asked:
        if one not in names:
            held = ", ".join(names) or "none"
            raise ConfigError([f"{section}: {one!r} cannot be compared; those that can: {held}"])


class ReconcileJob:
    """`run` never ends: once a day it compares. On a database of several gateways one does."""

    def __init__(
        self,
        config: Config,
        store: Store,
        mappings: mapping.Mappings,
        clock: Clock,
        *,
        first_seconds: float = FIRST_SECONDS,
        look_seconds: float = LOOK_SECONDS,
        wait: Callable[[int], Awaitable[None]] = pause,
    ) -> None:
        section = config.reconcile
        self._config = config
        self._store = store
        self._mappings = mappings
        self._clock = clock
        self._window = Windows.of([section.hours] if section.hours else [], config.site.zone)
        self._first_seconds = first_seconds
        self._look_seconds = look_seconds
        self._wait = wait

    async def run(self) -> None:
        """Look now and then whether a comparison is due. Raises `Unavailable` when the database is away."""
        if self._config.reconcile.days is None:
            return
        await asyncio.sleep(self._first_seconds)
        while True:
            if self._is_open() and await self._is_due():
                await self._compare(self._config.reconcile.days)
            await asyncio.sleep(self._look_seconds)

    async def _is_due(self) -> bool:
        last = await self._store.read(reconciliations.last)
        return last is None or not 0 <= self._clock() - int(last["begun_at"]) < DAY

    async def _compare(self, days: int) -> None:
        today = local_day(self._clock(), self._config.site.zone)
        report = Report(Span(today - timedelta(days=days - 1), today))
        try:
            async with reconciliation(
                self._config, self._store, self._mappings, self._clock, report.span
            ) as comparison:
                comparison.wait = self._wait
                async for _ in comparison.run(report, fix=self._config.reconcile.fix):
                    pass
        except Conflict:
            return
        except GatewayError as error:
            # Kept with the run, and shown; the next one is due tomorrow.
            log.warning("archive, gateway and EHRs were not compared to the end: %s", type(error).__name__)
            return
        log.info("archive, gateway and EHRs compared: %d differences", report.differences)

    def _is_open(self) -> bool:
        return self._window is None or self._window.is_open(self._clock())
