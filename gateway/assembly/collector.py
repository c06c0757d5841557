"""When Python looks for cycles of objects that nothing else holds (`gc`).

No thread computes meanwhile: among the objects of a request that names a hundred thousand images it takes some 90 ms,
and Python would look several times while such a request is read. So it looks often among the few that are new, and
among all once a minute, behind the long work that is under way.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.assembly.background import keep_trying
from gateway.long_work import beside

NEW_OBJECTS: Final = 5_000
"""So many more objects than before, and Python looks among them: half a millisecond. An order is read as some
hundreds."""
YOUNG_ROUNDS: Final = 5
"""Of looking among new objects, and Python looks among those of all these rounds once more: two milliseconds."""
_NEVER: Final = 1_000_000
WHOLE_SECONDS: Final = 60.0
"""Between two looks among all."""


@asynccontextmanager
async def spared(seconds: float = WHOLE_SECONDS) -> AsyncIterator[None]:
    """While the context is open, the collector goes by these rules. What is there at its beginning is taken to stay."""
    before = gc.get_threshold()
    _keep_all()
    gc.set_threshold(NEW_OBJECTS, YOUNG_ROUNDS, _NEVER)
    looking = asyncio.create_task(keep_trying("the search for cycles", lambda: _look(seconds)), name="collector")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        gc.set_threshold(*before)


def _keep_all() -> None:
    """Without this each look among all walks over what start-up left behind, and stops the gateway for 100 ms."""
    gc.collect()
    gc.freeze()


async def _look(seconds: float) -> None:
    await asyncio.sleep(seconds)
    await beside(_keep_all)  # models that were loaded after the start
    while True:
        await asyncio.sleep(seconds)
        await beside(gc.collect)
