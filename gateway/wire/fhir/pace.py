"""No more requests in a second than a server is to get."""

from __future__ import annotations

import asyncio


class Pace:
    """`await turn()` before each request: they pass one after the other, evenly; None holds nobody."""

    def __init__(self, per_second: float | None) -> None:
        self._gap = 1.0 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        if not self._gap:
            return
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + self._gap
        if mine > now:
            await asyncio.sleep(mine - now)
