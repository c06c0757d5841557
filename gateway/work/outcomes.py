"""Closing work that succeeded: what ends while a commit is under way is closed by the next, by the same statements, and
what ends shortly after the first of a set together with the first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.records.work import Work
from gateway.store import Store
from gateway.store.outbox_claims import Done, close_all
from gateway.work.lanes import Lanes

GATHER_SECONDS: Final = 0.001
"""So long an outcome waits for others of its kind that are on their way. A receiver that answers at once has answered
all of a set by then, and the next set is as large; without, the first is closed alone, and what takes its place goes
alone ever after. What a slow receiver takes is longer by no more than this."""


@dataclass(frozen=True, slots=True)
class _Ended:
    work: Work
    done: Done
    lanes: Lanes
    closed: asyncio.Future[bool]


class _LostError(Exception):
    """Of some work the lease was lost: the others are closed without it."""


class WorkOutcomes:
    """The outcomes of one worker."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ended: list[_Ended] = []
        self._closing: asyncio.Task[None] | None = None

    async def close(self, work: Work, done: Done, lanes: Lanes) -> bool:
        """Close `work`, which is of `lanes`, once `done` is on disk. False, and nothing written, when its lease was
        lost.

        Whoever stops waiting does not take it back. Raises `Unavailable`, and what `done` raises when it is written.
        """
        lanes.done(work)
        ended = _Ended(work, done, lanes, asyncio.get_running_loop().create_future())
        self._ended.append(ended)
        if self._closing is None or self._closing.done():
            self._closing = asyncio.create_task(self._close(), name="outcomes")
        return await ended.closed

    async def settled(self) -> None:
        """Wait until all that has ended is closed."""
        if self._closing is not None:
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        while self._ended:
            await self._gather()
            ended, self._ended = self._ended, []
            for one in ended:
                one.lanes.leave(one.work)
            try:
                await self._store.write(partial(self._all_of, ended))
            except Unavailable as error:
                _answer(ended, error)
            except Exception:
                # One of them, and nothing was written: alone each meets what is its own.
                await asyncio.gather(*map(self._close_alone, ended))
            else:
                _answer(ended, True)

    async def _gather(self) -> None:
        """Wait for what ends right now."""
        kinds = {one.work.kind: one.lanes for one in self._ended}
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                for lanes in kinds.values():
                    await lanes.all_done.wait()

    def _all_of(self, ended: Sequence[_Ended], connection: Connection) -> None:
        if not close_all(connection, [(one.work, one.done) for one in ended], now=self._clock()):
            raise _LostError

    async def _close_alone(self, ended: _Ended) -> None:
        try:
            alone = partial(close_all, closed=[(ended.work, ended.done)], now=self._clock())
            _answer([ended], await self._store.write(alone))
        except Exception as error:
            _answer([ended], error)


def _answer(ended: Sequence[_Ended], answer: bool | Exception) -> None:
    for one in ended:
        if one.closed.done():
            continue
        if isinstance(answer, Exception):
            one.closed.set_exception(answer)
        else:
            one.closed.set_result(answer)
