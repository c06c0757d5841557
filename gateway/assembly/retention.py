"""The background job that deletes by age: once a day, within the hours that the site gives it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.errors import Conflict
from gateway.operations.retention import Ended, RetentionRun
from gateway.operations.retention_view import summary
from gateway.records.retention import DAY, Ages
from gateway.records.windows import Windows
from gateway.store import Store, retention_runs

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
FIRST_SECONDS: Final = 60.0
"""After a start others come first."""
NOTHING: Final = "nothing is deleted: retention has no ages"


class RetentionJob:
    """`run` never ends: each day it deletes what is old enough. On a database of several gateways one does."""

    def __init__(
        self,
        store: Store,
        ages: Ages,
        clock: Clock,
        *,
        window: Windows | None = None,
        first_seconds: float = FIRST_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._store = store
        self._ages = ages
        self._clock = clock
        self._window = window
        self._first_seconds = first_seconds
        self._look_seconds = look_seconds

    @classmethod
    def of(cls, config: Config, store: Store, clock: Clock) -> RetentionJob:
        """The job as the configuration wants it."""
        section = config.retention
        window = Windows.of([section.hours] if section.hours else [], config.site.zone)
        return cls(store, section.ages, clock, window=window)

    async def run(self) -> None:
        """Look now and then whether a run is due. Raises `Unavailable`."""
        if not self._ages.days:
            log.info(NOTHING)
            return
        await asyncio.sleep(self._first_seconds)
        while True:
            if self._is_open() and await self._is_due():
                await self._delete()
            await asyncio.sleep(self._look_seconds)

    async def _is_due(self) -> bool:
        last = await self._store.read(retention_runs.last)
        if last is None or last["ended_at"] is None:
            return True
        return not 0 <= self._clock() - int(last["begun_at"]) < DAY

    async def _delete(self) -> None:
        run = RetentionRun(self._store, self._ages, self._clock, wait=self._opened)
        try:
            ended: Ended = await run.run()
        except Conflict:
            return
        log.info("retention: %s", summary(ended.tallies))

    def _is_open(self) -> bool:
        return self._window is None or self._window.is_open(self._clock())

    async def _opened(self) -> None:
        if not self._is_open():
            raise Conflict("the hours of retention are over", place="retention.hours")
