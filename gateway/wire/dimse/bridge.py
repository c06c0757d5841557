"""Coroutines of one event loop for threads that wait for their outcome."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

POLL_SECONDS = 0.05
CHUNK = 100
"""Matches that may wait between the loop and a thread."""


class LoopGone(Exception):
    """The event loop is closed, or has cancelled the work: nobody will answer."""


class Bridge:
    """Belongs to the event loop that is running when it is made; its other methods are for threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._running: set[concurrent.futures.Future[Any]] = set()

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start work on the loop. Raises `LoopGone`."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            work.close()
            raise LoopGone from error
        with self._lock:
            self._running.add(future)
        future.add_done_callback(self._done)
        return future

    def wait(self, future: concurrent.futures.Future[T]) -> T:
        """The outcome of the work. Raises what the work raised, or `LoopGone`."""
        while not concurrent.futures.wait([future], POLL_SECONDS).done:
            self.check()
        try:
            return future.result()
        except concurrent.futures.CancelledError as error:
            raise LoopGone from error

    def check(self) -> None:
        """Raise `LoopGone` if the loop does not run any more."""
        if not self._loop.is_running():
            raise LoopGone

    def cancel_all(self) -> None:
        with self._lock:
            running = list(self._running)
        for future in running:
            future.cancel()

    def _done(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._running.discard(future)


class Stream(Generic[T]):
    """Hands the items of an async iterator to one thread, as many at a time as have gathered, at most
    `CHUNK`."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._items: list[T] = []
        self._ended = False
        self._room = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def pump(self, source: Callable[[], AsyncIterator[T]]) -> None:
        """Runs on the loop until the source ends, raises or the task is cancelled; the source is closed
        then."""
        self._loop = asyncio.get_running_loop()
        try:
            async with aclosing(cast(Any, source())) as items:
                async for item in items:
                    if self._put(item):
                        self._room.clear()
                        await self._room.wait()
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify()

    def _put(self, item: T) -> bool:
        with self._ready:
            self._items.append(item)
            self._ready.notify()
            return len(self._items) >= CHUNK

    def take(self, seconds: float) -> list[T] | None:
        """In the thread: what has gathered, after at most `seconds`; None when there will be no more."""
        with self._ready:
            if not self._items and not self._ended:
                self._ready.wait(seconds)
            if self._ended and not self._items:
                return None
            items, self._items = self._items, []
        if len(items) >= CHUNK and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._room.set)
        return items
