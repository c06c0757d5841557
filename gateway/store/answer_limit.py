"""How long callers wait for the database."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from gateway.store.outages import unanswered


class AnswerLimit:
    """Ends the waiting of those whom the database does not answer within `seconds`.

    They are answered in the order in which they ask, nearly, so that one timer of the loop serves them all: a timer for
    each would be started and taken back for every message.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._is_watching = False

    def begin(self, answer: asyncio.Future[Any]) -> None:
        """`answer` is waited for from now on; if there is none in time, it is `Unavailable`."""
        due = self._loop.time() + self._seconds
        self._waiting.append((due, answer))
        if not self._is_watching:
            self._is_watching = True
            self._loop.call_at(due, self._look)

    def forget_answered(self) -> None:
        """Let go of answers that were given: they may be large."""
        waiting = self._waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()

    def _look(self) -> None:
        now = self._loop.time()
        while self._waiting:
            due, answer = self._waiting[0]
            if due > now and not answer.done():
                self._loop.call_at(due, self._look)
                return
            self._waiting.popleft()
            if not answer.done():
                answer.set_exception(unanswered(self._seconds))
        self._is_watching = False
