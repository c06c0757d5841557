"""Server-sent events: one look for all who follow, the same bytes to each, and only when something has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from gateway.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
REST: Final = 60
"""A look is followed by a rest of so many times its own length at least: while orders pour in, looks take longer, are
made less often, and take little from the orders."""
QUIET_SECONDS: Final = 15.0
"""After so long without a change a comment is sent: a follower that has gone is noticed by it."""
MOST: Final = 100
COMMENT: Final = b":\n\n"


def event(name: str, text: str) -> bytes:
    """An event of the stream (HTML, 9.2.6)."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return f"event: {name}\n{lines}\n".encode()


class Streams:
    """Those who follow what `look` shows. It is called while somebody follows, at most every `seconds` for all."""

    def __init__(
        self,
        look: Callable[[], Awaitable[bytes]],
        *,
        seconds: float = LOOK_SECONDS,
        quiet_seconds: float = QUIET_SECONDS,
        most: int = MOST,
    ) -> None:
        self._look = look
        self._seconds = seconds
        self._quiet_seconds = quiet_seconds
        self._most = most
        self._followers: set[asyncio.Event] = set()
        self._newest = b""
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def followers(self) -> int:
        return len(self._followers)

    def follow(self) -> AsyncIterator[bytes]:
        """What is shown now, and from then on each change, until `close`. Raises `Unavailable` for one too many."""
        if len(self._followers) >= self._most or self._closed:
            raise Unavailable(f"{self._most} follow already; load the page again for what is new", retry_after=60)
        return self._changes()

    async def _changes(self) -> AsyncIterator[bytes]:
        changed = asyncio.Event()
        self._followers.add(changed)
        if self._looking is None or self._looking.done():
            self._newest = b""
            self._looking = asyncio.create_task(self._run(), name="streams")
        try:
            # At once: the peer learns that it follows.
            yield self._newest or COMMENT
            while not self._closed:
                try:
                    async with asyncio.timeout(self._quiet_seconds):
                        await changed.wait()
                except TimeoutError:
                    yield COMMENT
                    continue
                changed.clear()
                if not self._closed:
                    yield self._newest
        finally:
            self._followers.discard(changed)

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._followers:
            begun = clock()
            try:
                newest = await self._look()
            except Exception as error:
                log.warning("what is followed cannot be shown: %s", type(error).__name__)
                newest = self._newest
            if newest != self._newest:
                self._newest = newest
                for changed in self._followers:
                    changed.set()
            await asyncio.sleep(self.rest(clock() - begun))

    def rest(self, look_seconds: float) -> float:
        """Seconds until the next look after one that took `look_seconds`; `quiet_seconds` at most."""
        return max(self._seconds, min(REST * look_seconds, self._quiet_seconds))

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        for changed in self._followers:
            changed.set()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
