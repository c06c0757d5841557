"""A wall clock that jumps while the gateway works: nothing waits longer for it, and an open breaker closes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from gateway.wire.dimse import client
from tests.conftest import until
from tests.faults.whole_gateway import WholeGateway, running
from tests.journey.test_study_arrival import sample
from tests.peers.faketime import MovedClock

BREAKER, JUMPS = "gateway_ehr_breaker_open", "gateway_clock_jumps_total"
HOUR, DAY = 3600, 86_400
ROUNDS = int(os.environ.get("FAULTS_JUMPS", "3"))
LATE_SECONDS = 120
"""Far less than a jump adds. A polling interval and a retry take two seconds each at most, on a loaded machine more."""


def study(number: int) -> Any:
    dataset: Any = sample()
    dataset.StudyInstanceUID = f"2.25.{number}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}.1"
    return dataset


async def store(gateway: WholeGateway, *numbers: int) -> None:
    datasets = [study(number) for number in numbers]
    stored = await client.store(
        "127.0.0.1", gateway.dicom, datasets, called_ae="GATEWAY", calling_ae="SCANNER", timeout=120
    )
    assert {status for _, status in stored} == {0}


async def metric(gateway: WholeGateway, name: str) -> float:
    """The sum of a metric over its labels."""
    url = f"http://127.0.0.1:{gateway.http}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


async def reach(gateway: WholeGateway, name: str, least: float) -> None:
    async with asyncio.timeout(60):
        while await metric(gateway, name) < least:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("moves", [(-HOUR,), (DAY, 0)], ids=["an hour back", "a day forward and back"])
async def test_nothing_waits_longer_for_a_jump(tmp_path: Path, database_url: str, moves: tuple[int, ...]) -> None:
    """In each round deliveries wait for an EHR that does not answer, and a study for its quiet time, when it jumps."""
    clock = MovedClock(tmp_path)
    async with EhrSimulator() as ehr:
        settings = {
            "studies": {"quiet_seconds": 1},
            "ehrs": [{"name": "ehr", "url": ehr.url, "retry": {"first_seconds": 1, "max_seconds": 2}}],
        }
        async with running(tmp_path / "gateway", database_url, settings, clock.environment) as gateway:
            waits = []
            for number in range(100, 100 * (ROUNDS + 1), 100):
                ehr.manners = Manners(fail_next=1_000_000, reads_too=True)
                await store(gateway, *range(number, number + 6))
                await reach(gateway, BREAKER, 1)
                for move in moves:
                    await store(gateway, number + 10 + moves.index(move))
                    await jump(gateway, clock, move)
                waits.append(await delivered(ehr, number // 100 * (6 + len(moves))))
                assert await metric(gateway, BREAKER) == 0
                await jump(gateway, clock, 0)
            print(f"{moves}: all delivered after {', '.join(f'{wait:.1f}' for wait in waits)} s")


async def test_two_gateways_whose_clocks_differ_by_an_hour(tmp_path: Path, shared_postgres: str) -> None:
    """Each delivery is made by one of them, when it is due; neither takes what the other has under way."""
    ahead = MovedClock(tmp_path)
    ahead.move(HOUR)
    async with EhrSimulator() as ehr:
        settings = {
            "studies": {"quiet_seconds": 1},
            "ehrs": [{"name": "ehr", "url": ehr.url, "retry": {"first_seconds": 1, "max_seconds": 2}}],
        }
        async with (
            running(tmp_path / "right", shared_postgres, settings) as right,
            running(tmp_path / "ahead", shared_postgres, settings, ahead.environment) as fast,
        ):
            await store(right, *range(1, 11))
            await store(fast, *range(11, 21))
            wait = await delivered(ehr, 20)
            ehr.manners = Manners(fail_next=5)
            await store(right, *range(21, 26))
            await store(fast, *range(26, 31))
            again = await delivered(ehr, 30)
            print(f"an hour apart: 20 studies after {wait:.1f} s, 10 more with five failures after {again:.1f} s")
            for gateway in (right, fast):
                assert "is another worker's" not in gateway.log
                assert "after its lease ended" not in gateway.log


async def jump(gateway: WholeGateway, clock: MovedClock, ahead: float) -> None:
    """Set the clock, unless it is so far ahead already, and wait until the gateway has noticed."""
    jumps = await metric(gateway, JUMPS)
    if clock.move(ahead):
        await reach(gateway, JUMPS, jumps + 1)


async def delivered(ehr: EhrSimulator, studies: int) -> float:
    """Seconds until the EHR, which answers from now on, has so many studies."""
    begun = time.monotonic()
    if ehr.manners.reads_too:
        ehr.manners = Manners()
    await until(lambda: len(ehr.resources("ImagingStudy")) == studies, seconds=LATE_SECONDS, what=f"{studies} studies")
    return time.monotonic() - begun
