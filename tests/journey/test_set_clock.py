"""A wall clock that somebody sets while the gateway works."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from gateway import clock as clocks
from gateway.assembly import process as app
from gateway.config.studies import Studies
from gateway.observe import metrics
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.ehr_answers import Manners
from tests.conftest import comes_true, until
from tests.journey.running import config_of
from tests.journey.test_study_arrival import sample, send

HOUR, DAY = 3600.0, 86_400.0


class Wall:
    """The wall clock of the gateway, which a test sets."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> int:
        return clocks.now() + round(self.ahead * 1_000_000)


def study(number: int) -> Any:
    dataset: Any = sample()
    dataset.StudyInstanceUID = f"2.25.{number}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number}.1"
    return dataset


@pytest.mark.parametrize("moves", [(-HOUR,), (DAY, -DAY)], ids=["an hour back", "a day forward and back"])
async def test_a_clock_that_is_set_delays_nothing(database_url: str, moves: tuple[float, ...]) -> None:
    """A delivery waits for an EHR that does not answer, and a study for its quiet time, while the clock moves."""
    wall = Wall()
    async with EhrSimulator() as ehr:
        config = config_of(database_url, ehr.url, studies=Studies(quiet_seconds=1.0))
        async with app.running(config, wall, clocks.elapsed) as gateway:
            ehr.manners = Manners(fail_next=1_000_000, reads_too=True)
            await send(gateway, *(study(number) for number in range(6)))
            breaker = metrics.EHR_OPEN.labels("ehr0")
            await until(lambda: breaker._value.get() == 1, what="an open breaker")
            for move in moves:
                wall.ahead += move
                await send(gateway, study(100 + round(wall.ahead)))
            ehr.manners = Manners()
            await until(lambda: len(ehr.resources("ImagingStudy")) == 6 + len(moves), what="every study")
            assert breaker._value.get() == 0
            if moves == (-HOUR,):
                assert (await shown(gateway)).startswith("went back by 3600 s at ")


async def shown(gateway: app.Running) -> str:
    """The component `clock` of /health/ready, once the last jump is noticed."""
    async with aiohttp.ClientSession() as session:

        async def detail() -> str:
            async with session.get(f"http://127.0.0.1:{gateway.http_port}/health/ready") as answer:
                return str((await answer.json())["components"]["clock"]["detail"])

        return str(await comes_true(detail, lambda text: "went back" in text))
