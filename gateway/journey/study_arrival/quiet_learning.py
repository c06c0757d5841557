"""Learns how long a station pauses within a study, from the studies that have settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from gateway.records.quiet_time import LearningRule, learnt
from gateway.store import Store, station_pauses

EVERY_SECONDS: Final = 600.0


class QuietLearning:
    """Hands the quiet times of stations to `adopt`, at the start and every ten minutes."""

    def __init__(self, store: Store, rule: LearningRule, adopt: Callable[[Mapping[str, int]], None]) -> None:
        self._store = store
        self._rule = rule
        self._adopt = adopt

    async def run(self) -> None:
        """Learn until cancelled. Raises `Unavailable`."""
        while True:
            await self.learn()
            await asyncio.sleep(EVERY_SECONDS)

    async def learn(self) -> None:
        """Learn once."""
        self._adopt(learnt(await self._store.read(station_pauses.pauses_by_station), self._rule))
