"""How long one task waits for its peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Ends the waits of the running task that take too long.

    One timer of the event loop serves all waits of a connection: when it goes off, it is set again where a later wait
    has not had its time yet. `asyncio.timeout` sets one for each wait and takes it back, for every message.
    """

    __slots__ = ("_due", "_is_over", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._due: float | None = None
        """When the wait that is under way is over; None: there is none."""
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, work: Awaitable[T], until: float) -> T:
        """The result of `work`, which is cancelled at `until` (the loop's time). Raises `TimeoutError` then."""
        cancelling = self._task.cancelling()
        self._due, self._is_over = until, False
        if self._timer is None or self._timer.when() > until:
            self._set(until)
        try:
            return await work
        except asyncio.CancelledError:
            # Somebody else may have cancelled the task as well.
            if self._is_over and self._task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._due = None

    def close(self) -> None:
        """Let go of the timer: there will be no further wait."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at: float) -> None:
        self.close()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._set(self._due)
        else:
            self._is_over = True
            self._task.cancel()
