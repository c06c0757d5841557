"""One state for all who ask at the same time: pages, health checks and scrapes share a reading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.operations.state.part import State

FRESH_SECONDS: Final = 0.25
"""Who presses a button and gets a page sees what the button did."""


class SharedState:
    """`read` reads the state; who asks within `fresh_seconds` of a reading gets the same."""

    def __init__(
        self,
        read: Callable[[], Awaitable[State]],
        *,
        fresh_seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._fresh = fresh_seconds
        self._clock = clock
        self._reading: asyncio.Future[State] | None = None
        self._begun = 0.0

    async def __call__(self) -> State:
        """The state, at most `fresh_seconds` old."""
        old = self._clock() - self._begun > self._fresh
        if self._reading is None or (self._reading.done() and (old or self._reading.exception() is not None)):
            self._begun = self._clock()
            self._reading = asyncio.ensure_future(self._read())
        # Whoever stops waiting does not end the reading of the others.
        return await asyncio.shield(self._reading)
