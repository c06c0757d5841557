"""Resends of all that an EHR was sent, in the background of a gateway that serves: one for each EHR at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import Conflict, GatewayError
from gateway.operations.resend import resend_all
from gateway.store import Store

log = logging.getLogger(__name__)

WAIT_SECONDS = 2.0
"""So long who asks for it waits: most are done by then."""


@dataclass(slots=True)
class Feed:
    """How far a resend has come."""

    ehr: str
    begun_at: int
    added: int = 0
    """Deliveries."""
    finished: bool = False
    error: str = ""
    """Why it ended before its time; empty: it did not."""


class Feeds:
    """The resends of one process. One that its end cuts off is not gone on with: what was added is sent."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def feeds(self) -> list[Feed]:
        """The last of each EHR."""
        return list(self._feeds.values())

    async def begin(self, ehr: str, *, first: int, per_second: float) -> Feed:
        """Send an EHR once more what was added at `first`, microseconds, or later, at a rate that holds nothing up.

        Returns when it is done, after `WAIT_SECONDS` at the latest. Raises `Conflict` while one is under way.
        """
        if ehr in self._tasks:
            raise Conflict(f"it is being sent everything already, {self._feeds[ehr].added} so far", place=ehr)
        feed = self._feeds[ehr] = Feed(ehr, self._clock())
        task = self._tasks[ehr] = asyncio.create_task(self._run(feed, first, per_second), name=f"feed {ehr}")
        task.add_done_callback(lambda _task: self._tasks.pop(ehr, None))
        await asyncio.wait([task], timeout=WAIT_SECONDS)
        return feed

    async def _run(self, feed: Feed, first: int, per_second: float) -> None:
        try:
            async for added in resend_all(self._store, feed.ehr, self._clock, first=first, per_second=per_second):
                feed.added = added
        except GatewayError as error:
            feed.error = str(error)
            log.warning("the resend to %s ended after %d deliveries: %s", feed.ehr, feed.added, type(error).__name__)
        except Exception as error:
            feed.error = "internal error; the log says where"
            log.error("the resend to %s failed after %d deliveries", feed.ehr, feed.added, exc_info=error)
        feed.finished = True

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
