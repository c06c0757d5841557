"""The store of a gateway that serves."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from gateway.assembly.processes.place import ProcessPlace
from gateway.assembly.receivers import receivers_of
from gateway.clock import Clock
from gateway.config.tree import Config
from gateway.operations.receivers import pause_all
from gateway.store import Store, outbox_claims


async def open_store(
    config: Config, clock: Clock, elapsed: Clock, stack: AsyncExitStack, place: ProcessPlace, *, paused: bool
) -> Store:
    """The store until `stack` ends, as the worker may find it. Raises as `Store.open` does."""
    database = config.database
    store = await Store.open(database.url, answer_seconds=database.answer_seconds, job_seconds=database.job_seconds)
    stack.push_async_callback(store.close)
    await store.begin_steady_time(clock, elapsed)
    if paused:
        await store.write(partial(pause_all, receivers=receivers_of(config), person="gateway run", now=clock()))
    if store.engine.dialect.name == "sqlite":
        await store.write(outbox_claims.release_all)
    elif place.holder:
        # Of a process that has died, where this one was started in its place.
        await store.write(partial(outbox_claims.release_of, holder=place.holder))
    return store
