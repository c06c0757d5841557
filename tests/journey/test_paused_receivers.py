"""A receiver that is paused gets nothing until it is resumed; orders, worklist and studies go on."""

from __future__ import annotations

from functools import partial

import aiohttp

from gateway.assembly import process as app
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing, pauses
from tests.conftest import comes_true, until
from tests.journey.running import Start, config_of, quiet, sqlite
from tests.journey.test_ehr_delivery import examine


async def delivery_waits(gateway: app.Running, ehr: str) -> None:
    """Wait until a delivery to the EHR is in the database, and not done."""
    rows = partial(outbox_listing.listing, states=("pending",))
    await comes_true(lambda: gateway.store.read(rows), lambda found: any(row["kind"] == f"ehr:{ehr}" for row in found))


async def post(gateway: app.Running, path: str) -> int:
    address = f"http://127.0.0.1:{gateway.http_port}{path}"
    async with aiohttp.ClientSession() as session, session.post(address) as response:
        return response.status


async def test_a_paused_ehr_gets_its_studies_when_it_is_resumed(start: Start) -> None:
    async with EhrSimulator() as first, EhrSimulator() as second, start(first.url, second.url) as gateway:
        assert await post(gateway, "/api/receivers/ehr0/pause?note=upgrade") == 200
        await examine(gateway, seed=41, count=1)
        await until(lambda: second.resources("ImagingStudy"))
        await delivery_waits(gateway, "ehr0")
        assert first.resources("ImagingStudy") == []
        assert await post(gateway, "/api/receivers/ehr0/resume") == 200
        await quiet(gateway)
        assert len(first.resources("ImagingStudy")) == 1


@sqlite
async def test_a_gateway_that_is_started_with_pauses_sends_nothing(database_url: str) -> None:
    async with EhrSimulator() as ehr:
        config = config_of(database_url, ehr.url)
        async with app.running(config, paused=True) as gateway:
            await examine(gateway, seed=42, count=1)
            await delivery_waits(gateway, "ehr0")
            assert (await gateway.store.read(pauses.listing))["ehr0"].note == "started with --paused"
        # A pause outlives a restart: only a person ends it.
        async with app.running(config) as gateway:
            await delivery_waits(gateway, "ehr0")
            assert ehr.resources("ImagingStudy") == []
            assert await post(gateway, "/api/receivers/ehr0/resume") == 200
            await quiet(gateway)
            assert len(ehr.resources("ImagingStudy")) == 1
