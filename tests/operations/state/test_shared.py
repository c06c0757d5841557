from __future__ import annotations

import asyncio

import pytest

from gateway.operations.state.part import State
from gateway.operations.state.shared import SharedState


async def test_who_asks_at_one_time_shares_a_reading() -> None:
    moment, begun, go = [0.0], list[State](), asyncio.Event()

    async def read() -> State:
        begun.append(State(len(begun), "1"))
        await go.wait()
        return begun[-1]

    state = SharedState(read, clock=lambda: moment[0])
    asked = [asyncio.ensure_future(state()) for _ in range(3)]
    gone = asyncio.ensure_future(state())
    await asyncio.sleep(0)
    gone.cancel()
    go.set()
    assert await asyncio.gather(*asked) == [begun[0]] * 3
    assert await state() is begun[0]
    moment[0] = 1.5
    assert await state() is begun[1]


async def test_a_reading_that_fails_is_not_kept() -> None:
    failures = [RuntimeError("once")]

    async def read() -> State:
        if failures:
            raise failures.pop()
        return State(1, "1")

    state = SharedState(read, clock=lambda: 0.0)
    with pytest.raises(RuntimeError, match="once"):
        await state()
    assert (await state()).at == 1
