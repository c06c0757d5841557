"""Waits of one task share a timer, and each ends in its own time."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from gateway.wire.patience import Patience

LONG = 60.0


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


def late() -> float:
    return asyncio.get_running_loop().time() + LONG


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_wait_ends_in_its_time_whatever_the_one_before_had() -> None:
    with closing(Patience()) as patience:
        assert await patience.wait(asyncio.sleep(0, "now"), late()) == "now"
        with pytest.raises(TimeoutError):
            await patience.wait(never(), soon())
        # The timer goes off amid this one, which has time left.
        assert await patience.wait(asyncio.sleep(0, "first"), soon()) == "first"
        assert await patience.wait(asyncio.sleep(0.03, "second"), late()) == "second"
        # It goes off while nobody waits.
        assert await patience.wait(asyncio.sleep(0, "third"), soon()) == "third"
        await asyncio.sleep(0.03)
        with pytest.raises(TimeoutError):
            await patience.wait(never(), soon())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_task_that_is_cancelled_is_cancelled() -> None:
    async def work() -> None:
        with closing(Patience()) as patience:
            await patience.wait(never(), late())

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_fails() -> None:
    async def fails() -> None:
        raise ConnectionResetError

    with closing(Patience()) as patience, pytest.raises(ConnectionResetError):
        await patience.wait(fails(), late())


async def test_many_waits_leave_one_timer() -> None:
    loop = asyncio.get_running_loop()
    before = len(loop._scheduled)  # type: ignore[attr-defined]
    with closing(Patience()) as patience:
        for _ in range(50):
            await patience.wait(asyncio.sleep(0), late())
        assert len(loop._scheduled) - before == 1  # type: ignore[attr-defined]
