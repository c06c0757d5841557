"""A study that settles for a reason: what MPPS names, an instance that comes late, images that never stop coming."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydicom.dataset import Dataset

from gateway import clock as clocks
from gateway.assembly import process as app
from gateway.config.studies import Studies
from gateway.config.tree import MappingsSection
from gateway.simulators.ehr import EhrSimulator
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import until
from tests.journey.messages import orm
from tests.journey.modality import begin, end, item, modality_of, series
from tests.journey.running import config_of, sqlite
from tests.journey.test_named_instances import reference
from tests.wire.dimse.peers import HOST, PEER, instance

STUDY = "2.25.77"
MPPS = "2.25.77.99"


class Hours:
    """Both clocks of the gateway, which stand still until a test lets them go on: however long a busy machine takes."""

    def __init__(self) -> None:
        self.ahead = 0
        self._now, self._elapsed = clocks.now(), clocks.elapsed()

    def wall(self) -> int:
        return self._now + self.ahead

    def elapsed(self) -> int:
        return self._elapsed + self.ahead

    def go(self, seconds: float) -> None:
        self.ahead += round(seconds * 1_000_000)

    def running(
        self, database_url: str, ehr: EhrSimulator, **sections: Any
    ) -> AbstractAsyncContextManager[app.Running]:
        studies = Studies(quiet_seconds=30, longest_wait_seconds=600)
        return app.running(config_of(database_url, ehr.url, studies=studies, **sections), self.wall, self.elapsed)


async def _sends(gateway: app.Running, *numbers: int) -> None:
    images = []
    for number in numbers:
        image: Any = instance()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = STUDY, f"{STUDY}.0", "CT"
        image.SOPInstanceUID = f"{STUDY}.0.{number}"
        image.PatientID, image.InstanceNumber = "PAT1", number
        images.append(image)
    stored = await client.store(HOST, gateway.dicom_port, images, **PEER)
    assert {status for _, status in stored} == {0}


def _naming(*numbers: int) -> Dataset:
    made = series(f"{STUDY}.0")
    made.ReferencedImageSequence = [reference(f"{STUDY}.0.{number}") for number in numbers]
    return made


async def _shown(gateway: app.Running) -> dict[str, Any]:
    address = f"http://127.0.0.1:{gateway.http_port}/api/studies/{STUDY}"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


def _at(ehr: EhrSimulator) -> list[tuple[str, int]]:
    """Version and number of instances of the study at the EHR."""
    return [(one["meta"]["versionId"], one["numberOfInstances"]) for one in ehr.resources("ImagingStudy")]


async def test_an_image_that_mpps_names_and_that_comes_three_minutes_late(database_url: str) -> None:
    """The gateway is started again while the study waits."""
    hours = Hours()
    waiting = "waiting for 1 of 12 images that MPPS names"
    async with EhrSimulator() as ehr:
        async with hours.running(database_url, ehr) as gateway:
            modality = modality_of(gateway)
            assert (await modality.create(begin(item(STUDY)), MPPS)).status == 0
            await _sends(gateway, *range(1, 12))
            performed = end(PerformedSeriesSequence=[_naming(*range(1, 13))])
            assert (await modality.set(performed, MPPS)).status == 0
            assert (await _shown(gateway))["waits_because"]["text"] == waiting
            hours.go(60)
        async with hours.running(database_url, ehr) as gateway:
            hours.go(118)
            shown = await _shown(gateway)
            assert (shown["waits_because"]["text"], shown["settled_at"]) == (waiting, None)
            await _sends(gateway, 12)
            hours.go(1)
            await until(lambda: _at(ehr), what="the study at the EHR")
            shown = await _shown(gateway)
            assert shown["settled_because"]["text"] == "all 12 images that MPPS names were here"
            assert (shown["waits_because"], _at(ehr)) == (None, [("1", 12)]), "no version without the twelfth"
            await _sends(gateway, 13)
            hours.go(1)
            await until(lambda: _at(ehr) == [("2", 13)], what="a revision")


@sqlite
async def test_an_image_that_mpps_names_and_that_never_comes(database_url: str) -> None:
    """The study settles without the image when it has waited the longest time."""
    hours = Hours()
    async with EhrSimulator() as ehr, hours.running(database_url, ehr) as gateway:
        modality = modality_of(gateway)
        assert (await modality.create(begin(item(STUDY)), MPPS)).status == 0
        assert (await modality.set(end(PerformedSeriesSequence=[_naming(1, 2)]), MPPS)).status == 0
        await _sends(gateway, 1)
        hours.go(600)
        await until(lambda: _at(ehr), what="the study at the EHR")
        because = (await _shown(gateway))["settled_because"]
        assert because["text"] == "it had waited the longest time, without 1 of 2 images that MPPS names"
        await _sends(gateway, 2)
        hours.go(1)
        await until(lambda: _at(ehr) == [("2", 2)], what="a revision")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_number_of_images_that_the_order_states(database_url: str, tmp_path: Path) -> None:
    """Which field it is read from is settled before the database."""
    (tmp_path / "order_to_worklist.yaml").write_text("procedure:\n  NumberOfStudyRelatedInstances: ZIM-2\n")
    hours = Hours()
    mappings = MappingsSection(overlay=tmp_path)
    async with EhrSimulator() as ehr, hours.running(database_url, ehr, mappings=mappings) as gateway:
        async with MllpClient(HOST, gateway.hl7_ports["ris"]) as ris:
            assert b"MSA|AA" in await ris.send(orm(study_uid=STUDY, more=["ZIM|1|3"]))
        await _sends(gateway, 1, 2)
        assert (await _shown(gateway))["waits_because"]["text"] == "waiting for 1 of 3 images that were expected"
        await _sends(gateway, 3)
        hours.go(1)
        await until(lambda: _at(ehr) == [("1", 3)], what="the study at the EHR")
        assert (await _shown(gateway))["settled_because"]["text"] == "all 3 images that were expected were here"


@sqlite
async def test_a_study_that_never_is_quiet(database_url: str) -> None:
    hours = Hours()
    async with EhrSimulator() as ehr, hours.running(database_url, ehr) as gateway:
        for number in range(31):
            await _sends(gateway, number)
            hours.go(20)
        await until(lambda: _at(ehr), what="the study at the EHR")
        [(_, delivered)] = _at(ehr)
        because = (await _shown(gateway))["settled_because"]
        assert (because["text"], delivered >= 30) == ("it had waited the longest time", True)
        await _sends(gateway, 31)
        hours.go(30)
        await until(lambda: _at(ehr)[0][1] == 32, what="a revision with all of it")
