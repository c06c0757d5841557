"""Closing work that succeeded: what ends while a commit is under way is closed by the next, by the same statements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.records.work import Work
from gateway.store import Store
from gateway.store.outbox_claims import Done, close_all


@dataclass(frozen=True, slots=True)
class _Ended:
    work: Work
    done: Done
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

    async def close(self, work: Work, done: Done) -> bool:
        """Close `work` once `done` is on disk. False, and nothing written, when its lease was lost.

        Whoever stops waiting does not take it back. Raises `Unavailable`, and what `done` raises when it is written.
        """
        ended = _Ended(work, done, asyncio.get_running_loop().create_future())
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
            ended, self._ended = self._ended, []
            try:
                await self._store.write(partial(self._all_of, ended))
            except Unavailable as error:
                _answer(ended, error)
            except Exception:
                # One of them, and nothing was written: alone each meets what is its own.
                await asyncio.gather(*map(self._close_alone, ended))
            else:
                _answer(ended, True)

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
