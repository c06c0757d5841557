"""Work that comes to the writer while it is busy is one transaction afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from gateway.store import Store

BUSY_SECONDS: Final = 120.0


@asynccontextmanager
async def one_transaction(stores: Collection[Store]) -> AsyncIterator[None]:
    """Keep the writers busy within the block: what comes meanwhile waits, and is one transaction afterwards."""
    goes_on = threading.Event()
    busy = [threading.Event() for _ in stores]

    def wait(_connection: Connection, begun: threading.Event) -> None:
        begun.set()
        goes_on.wait(BUSY_SECONDS)

    waiting = [
        asyncio.create_task(store.write(partial(wait, begun=one))) for store, one in zip(stores, busy, strict=True)
    ]
    for one in busy:
        await asyncio.to_thread(one.wait, BUSY_SECONDS)
    try:
        yield
    finally:
        goes_on.set()
        await asyncio.gather(*waiting)


async def at_once(store: Store, *work: Awaitable[Any]) -> list[Any]:
    """Do what gives its units to the writer, all in one transaction, in this order."""
    async with one_transaction([store]):
        tasks = [asyncio.ensure_future(one) for one in work]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)
