"""The modality simulator over the web, against a running gateway."""

from __future__ import annotations

import pytest

from bench.ports import free_port
from gateway.config.http import Http
from gateway.errors import Rejected, Unavailable
from gateway.simulators import modality_web
from gateway.simulators.studies import perform
from tests.journey.messages import orm
from tests.journey.running import Start
from tests.journey.test_performed_step import ordered, states


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_examination_over_the_web(start: Start) -> None:
    async with start(http=Http(port=0, token="secret")) as gateway:
        await ordered(gateway, orm())
        base = f"127.0.0.1:{gateway.http_port}/dicomweb"
        async with modality_web.connected(f"http://:secret@{base}/", ae_title="CT1") as modality:
            assert await modality.query(modality="MR") == []
            [item] = await modality.query(modality="CT", date="20301124", accession_number="ACC1")
            assert (item.PatientName, item.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == (
                "MUSTER^MAX",
                "CT1",
            )
            uid = await modality.begin(item)
            assert await states(gateway) == {"SPS1": "STARTED"}
            await modality.end(uid, perform(item))
            assert await states(gateway) == {"SPS1": "COMPLETED"}
            with pytest.raises(Rejected, match=r"POST answered 409: .* may no longer be updated"):
                await modality.end(uid, [])
        async with modality_web.connected(f"http://{base}") as stranger:
            with pytest.raises(Rejected, match="GET answered 401"):
                await stranger.query()


async def test_a_server_that_is_away() -> None:
    async with modality_web.connected(f"http://127.0.0.1:{free_port()}/dicomweb") as modality:
        with pytest.raises(Unavailable, match="no answer"):
            await modality.query()
