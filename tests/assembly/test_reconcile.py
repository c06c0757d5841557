"""The job that compares archive, gateway and EHRs once a day: one of several gateways does, and the result is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from gateway.assembly.reconcile import ReconcileJob
from gateway.clock import now
from gateway.config.ehrs import Ehr
from gateway.config.reconcile import ReconcileSection
from gateway.config.studies import Studies
from gateway.config.study_sources import StudySource
from gateway.records.retention import DAY
from gateway.store import Store, reconciliations
from tests.conftest import comes_true
from tests.journey.running import config_of
from tests.mapping.samples import SHIPPED

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Clock:
    """Of the wall, as far ahead as a test wants."""

    ahead = 0

    def __call__(self) -> int:
        return now() + self.ahead


async def no_pause(_tried: int) -> None:
    return None


@asynccontextmanager
async def working(*jobs: ReconcileJob) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(job.run()) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def ended(store: Store, after: int = 0) -> dict[str, Any]:
    """The run behind the row `after`, once it has come to its end."""
    last: dict[str, Any] = await comes_true(
        partial(store.read, reconciliations.last),
        lambda row: row is not None and row["id"] > after and row["ended_at"] is not None,
    )
    return last


@sqlite
async def test_one_of_two_gateways_compares_once_a_day(database_url: str) -> None:
    config = config_of(database_url, reconcile=ReconcileSection(days=3))
    store, clock = await Store.open(database_url), Clock()
    jobs = [ReconcileJob(config, store, SHIPPED, clock, first_seconds=0, look_seconds=0.01) for _ in range(2)]
    async with working(*jobs):
        first = await ended(store)
        assert (first["id"], first["failure"], first["outcome"]["days"]) == (1, "", 3)
        clock.ahead = DAY
        assert (await ended(store, after=1))["id"] == 2
    await store.close()


@sqlite
async def test_what_failed_is_kept_and_the_job_goes_on(database_url: str) -> None:
    away = Ehr(name="main", url="http://127.0.0.1:1", timeout_seconds=1)
    config = config_of(database_url, reconcile=ReconcileSection(days=1), ehrs=[away])
    store, clock = await Store.open(database_url), Clock()
    job = ReconcileJob(config, store, SHIPPED, clock, first_seconds=0, look_seconds=0.01, wait=no_pause)
    async with working(job):
        last = await ended(store)
        assert "no answer" in last["failure"]
        clock.ahead = DAY
        assert "no answer" in (await ended(store, after=last["id"]))["failure"]
    await store.close()


@sqlite
async def test_an_archive_that_cannot_be_compared_is_named(database_url: str) -> None:
    orthanc = StudySource(name="pacs", kind="orthanc", url="http://pacs.test")
    config = config_of(database_url, reconcile=ReconcileSection(days=1), studies=Studies(sources=[orthanc]))
    store = await Store.open(database_url)
    async with working(ReconcileJob(config, store, SHIPPED, Clock(), first_seconds=0, look_seconds=0.01)):
        [note] = (await ended(store))["outcome"]["notes"]
    assert note.startswith("pacs: its list of changes has no days")
    await store.close()
