"""Beside others, units and reads of retention take their share of the time, and no more."""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.sql import literal

from gateway.operations.retention_pace import LOOK_SECONDS, Beside, Pace
from gateway.store import Store
from tests.conftest import until

WORK_SECONDS = 0.01
PACE = Pace(share=0.1)


def work(connection: Connection) -> None:
    """What holds the writer, or a reader, for a while."""
    connection.execute(select(literal(1)))
    time.sleep(WORK_SECONDS)


def nothing(connection: Connection) -> None:
    connection.execute(select(literal(1)))


async def others(store: Store) -> None:
    while True:
        await store.write(nothing)


async def test_units_and_reads_leave_nine_tenths_to_others_that_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a machine that is slow or busy others write seldom too.
    monkeypatch.setattr("gateway.operations.retention_pace.OTHERS_A_SECOND", 0.0)
    monkeypatch.setattr("gateway.operations.retention_pace.OTHERS_AT_ONCE", 0)
    beside = Beside(store, PACE, None)
    writing = asyncio.create_task(others(store))
    await until(lambda: store.units, what="a unit of others")
    await asyncio.sleep(LOOK_SECONDS)
    await beside.read(work)
    monkeypatch.setattr("gateway.operations.retention_pace.LOOK_SECONDS", math.inf)
    for act in (beside.write, beside.read):
        await act(work)
        begun = time.monotonic()
        for _ in range(3):
            await act(work)
        assert time.monotonic() - begun >= 3 * WORK_SECONDS / PACE.share
    writing.cancel()


async def test_alone_they_go_on_at_once(store: Store) -> None:
    beside = Beside(store, Pace(unit_seconds=60, share=1e-6), None)
    async with asyncio.timeout(120):
        for _ in range(3):
            await beside.write(work, rows=8)
            await beside.read(work)
    assert beside.rows > 8
    shared = Beside(store, Pace(always_shared=True, share=0.1), None)
    begun = time.monotonic()
    await shared.read(work)
    assert time.monotonic() - begun >= WORK_SECONDS / PACE.share
