"""Steps of days past leave the worklist by rule, and come back with another day."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest

from gateway.assembly.mappings import load_mappings
from gateway.assembly.worklist import why
from gateway.clock import local_day, now
from gateway.config.worklist import WorklistSection
from gateway.records.identifiers import AccessionNumber
from tests.journey.messages import orm
from tests.journey.modality import begin, item, modality_of
from tests.journey.running import Start, config_of
from tests.journey.test_performed_step import UID, hl7_time, ordered
from tests.journey.test_scheduling import visible

RULE = WorklistSection(expire_after_days=1)


def day(ago: int) -> str:
    config = config_of("sqlite:///unused")
    return f"{local_day(now(), config.site.zone) - timedelta(days=ago):%Y%m%d}0900"


def order(number: int, ago: int) -> bytes:
    return orm(control_id=f"M{number}", placer=f"P{number}", filler=f"F{number}", accession=f"ACC{number}",
               study_uid=f"1.2.3.{number}", start=day(ago))  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_steps_that_nobody_began_expire(start: Start, database_url: str) -> None:
    config = config_of(database_url, worklist=RULE)
    async with start(worklist=RULE) as gateway:
        await ordered(gateway, *(order(ago, ago) for ago in range(4)))
        await modality_of(gateway).create(begin(item("1.2.3.3", "SPS1", "ACC3")), UID)
        shown = ["ACC3", "ACC1", "ACC0"]
        assert [one[0] for one in await visible(gateway)] == shown, "what has begun is shown, whatever its day"
        address = f"http://127.0.0.1:{gateway.http_port}/api/worklist"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            assert [one["accession"] for one in (await answer.json())["items"]] == shown
        reasons = await why(config, gateway.store, load_mappings(config), now, AccessionNumber("ACC2"), "CT1")
        assert reasons is not None
        assert reasons.steps[0].reasons == ("its day is past, and nobody has begun it (worklist.expire_after_days)",)
        change = orm(control="XO", control_id="M9", placer="P2", filler="F2", accession="ACC2", study_uid="1.2.3.2",
                     start=day(0), at=hl7_time())  # fmt: skip
        await ordered(gateway, change)
        assert "ACC2" in [one[0] for one in await visible(gateway)]
