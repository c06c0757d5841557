from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.assembly.background import keep_trying


async def test_a_job_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def job() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ValueError("PatientName SECRET")

    with caplog.at_level(logging.WARNING):
        await keep_trying("the planted job", job, first_seconds=0.001)
    assert tries == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "the planted job failed (ValueError); the next try is in 0 s",
        "the planted job failed (ValueError); the next try is in 0 s",
    ]


async def test_a_job_ends_with_the_gateway() -> None:
    begun = asyncio.Event()

    async def job() -> None:
        begun.set()
        raise OSError

    task = asyncio.create_task(keep_trying("the planted job", job, first_seconds=3600))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
