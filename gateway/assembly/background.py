"""Background jobs without which the gateway serves all the same: a job that fails is logged and tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 5.0
LONGEST_RETRY_SECONDS: Final = 600.0


async def keep_trying(
    name: str,
    job: Callable[[], Awaitable[object]],
    *,
    first_seconds: float = FIRST_RETRY_SECONDS,
    longest_seconds: float = LONGEST_RETRY_SECONDS,
) -> None:
    """Run `job` until it ends without an error; wait longer after each failure, at most `longest_seconds`."""
    seconds = first_seconds
    while True:
        try:
            await job()
        except Exception as error:
            log.warning("%s failed (%s); the next try is in %.0f s", name, type(error).__name__, seconds)
        else:
            return
        await asyncio.sleep(seconds)
        seconds = min(2 * seconds, longest_seconds)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a job, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])


@asynccontextmanager
async def background() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group; one error that ends it comes out as itself, so that callers can name it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from None
        raise
