"""Whether the database takes writing: proved by a commit, of the work itself or, where there is none, a heartbeat."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.errors import GatewayError
from gateway.observe import metrics
from gateway.store.outage_causes import NO_ANSWER, cause_of

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 5.0
"""So long a commit counts as proof."""
PATIENCE_SECONDS: Final = 5.0
"""A heartbeat that is not committed by then has failed, for who asks; it is waited for all the same."""
AGAIN_SECONDS: Final = 1.0
"""After a failure a heartbeat is tried so often."""
LONGEST_SECONDS: Final = 30.0
"""A heartbeat at least so often, also while work is committed: other gateways read the steady time of it."""
PADDING: Final = 256 * 1024
"""Bytes: after a failure a heartbeat writes as much as a long message, for which a full disk may have no room while it
has room for a few bytes."""


class Pulse:
    """Asked by whoever wants to know; `run` asks without end, for the log and the metric. `beat` writes a heartbeat."""

    def __init__(self, beat: Callable[[bytes], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._beat = beat
        self._clock = clock
        self._proved_at = self._begun_at = self._beaten_at = -math.inf
        self._beating: asyncio.Task[None] | None = None
        self._doubtful = False
        self._causes: list[str] = []
        """Of the outage that lasts, each in the log once; empty: there is none."""
        self._failed_at = 0.0
        self._failures = 0
        """Units that were not written since the last proof."""

    def committed(self) -> None:
        """Work was committed. After a failure only a heartbeat is proof."""
        self._proved_at = self._clock()

    def failed(self, _error: GatewayError) -> None:
        """Work was not committed, for the sake of the database: a heartbeat shows whether others fare better."""
        self._doubtful = True
        self._failures += 1

    @property
    def failures(self) -> int:
        """Units that were not written since the last proof."""
        return self._failures

    def seconds_since_proof(self) -> float | None:
        """How long ago something was committed last; None: nothing yet."""
        return None if self._proved_at == -math.inf else self._clock() - self._proved_at

    def close(self) -> None:
        """Wait for no heartbeat any more."""
        if self._beating is not None:
            self._beating.cancel()

    async def run(self) -> None:
        """Ask once a second."""
        while True:
            await self.ask()
            await asyncio.sleep(AGAIN_SECONDS)

    async def ask(self) -> str:
        """Why the database takes no writing, empty if it does. Waits for a heartbeat where nothing else is proof."""
        if self._beating is None and self._is_due():
            self._begun_at = self._clock()
            self._beating = asyncio.create_task(self._probe(), name="heartbeat")
        if (beating := self._beating) is not None:
            patience = self._begun_at + PATIENCE_SECONDS - self._clock()
            await asyncio.wait({beating}, timeout=max(patience, 0.0))
            if not beating.done():
                self._note(NO_ANSWER, f"nothing was committed within {PATIENCE_SECONDS:g} s")
        return self._causes[-1] if self._causes else ""

    def _is_due(self) -> bool:
        now = self._clock()
        if self._doubtful or self._causes:
            return now - self._begun_at >= AGAIN_SECONDS
        return now - self._proved_at >= FRESH_SECONDS or now - self._beaten_at >= LONGEST_SECONDS

    async def _probe(self) -> None:
        try:
            await self._beat(os.urandom(PADDING) if self._doubtful or self._causes else b"")
        except Exception as error:
            self._note(cause_of(error), str(error))
        else:
            self._prove()
        finally:
            self._beating = None

    def _prove(self) -> None:
        self._proved_at = self._beaten_at = self._clock()
        metrics.DATABASE_WRITABLE.set(1)
        if self._causes:
            seconds = self._proved_at - self._failed_at
            log.warning("the database is written to again after %.0f s; %d writes failed", seconds, self._failures)
        self._doubtful, self._failures = False, 0
        self._causes.clear()

    def _note(self, cause: str, reason: str) -> None:
        metrics.DATABASE_WRITABLE.set(0)
        if not self._causes:
            self._failed_at = self._clock()
        if cause in self._causes:
            self._causes.remove(cause)
        else:
            log.warning("nothing can be written to the database: %s (%s)", cause, reason)
        self._causes.append(cause)
