"""A gateway that starts from a backup: the EHR holds more than its database tells, and still each study once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.studies import Studies
from gateway.config.tree import Config
from gateway.simulators import modality, ris
from gateway.simulators.ehr import EhrSimulator
from gateway.simulators.studies import perform
from gateway.store.backup import back_up
from gateway.wire.dimse import client
from gateway.wire.hl7.mllp_client import MllpClient
from tests.journey.running import config_of, quiet
from tests.journey.test_paused_receivers import delivery_waits

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def order(gateway: app.Running, *exams: ris.Exam) -> None:
    async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=120) as connection:
        for exam in exams:
            assert b"MSA|AA|" in await connection.send(exam.hl7())


async def worklist(gateway: app.Running) -> dict[str, Dataset]:
    """Accession number -> item."""
    items = await modality.query("127.0.0.1", gateway.dicom_port, timeout=120)
    return {str(item.AccessionNumber): item for item in items}


async def store(gateway: app.Running, images: Sequence[Dataset]) -> None:
    stored = await client.store(
        "127.0.0.1", gateway.dicom_port, images, called_ae="GATEWAY", calling_ae="PACS", timeout=120
    )
    assert {status for _uid, status in stored} == {0}


def configured(database_url: str, ehr_url: str, way: str = "auto") -> Config:
    """A configuration whose EHR is written to by `way`."""
    config = config_of(database_url, ehr_url, studies=Studies(quiet_seconds=0.1))
    return config.model_copy(update={"ehrs": [config.ehrs[0].model_copy(update={"write": way})]})


def held(ehr: EhrSimulator) -> list[tuple[str, int]]:
    """(Study Instance UID, instances) of each ImagingStudy in the EHR."""
    return [
        (one["identifier"][0]["value"].removeprefix("urn:oid:"), one["numberOfInstances"])
        for one in ehr.resources("ImagingStudy")
    ]


async def test_the_next_version_of_a_study_is_delivered_over_one_that_the_backup_lacks(
    database_url: str, tmp_path: Path
) -> None:
    """The EHR's has a higher revision than any of the restored database, which counts on from the backup's."""
    early, late = ris.orders(1, 2)
    copy = tmp_path / "copy.db"
    async with EhrSimulator() as ehr:
        async with app.running(configured(database_url, ehr.url)) as gateway:
            await order(gateway, early)
            images = perform((await worklist(gateway))[early.accession_number], series=1, instances=6)
            await store(gateway, images[:2])
            await quiet(gateway)
            await asyncio.to_thread(back_up, Path(database_url.removeprefix("sqlite:///")), copy)
            await order(gateway, late)
            for image in images[2:5]:
                await store(gateway, [image])
                await quiet(gateway)
        assert held(ehr) == [(early.study_uid, 5)]
        async with app.running(configured(f"sqlite:///{copy}", ehr.url)) as gateway:
            assert (await worklist(gateway)).keys() == {early.accession_number}
            await order(gateway, early, late)
            assert (await worklist(gateway)).keys() == {early.accession_number, late.accession_number}
            await store(gateway, images)
            await quiet(gateway)
        assert held(ehr) == [(early.study_uid, 6)]


@pytest.mark.parametrize("write", ["search", "client_id"])
async def test_a_delivery_that_the_backup_holds_as_waiting_makes_no_second_resource(
    database_url: str, tmp_path: Path, write: str
) -> None:
    """The EHR has it, and one after it; the database that is restored remembers neither."""
    [exam] = ris.orders(1, 1)
    copy = tmp_path / "copy.db"
    async with EhrSimulator(free_port()) as ehr:
        await ehr.refuse()
        async with app.running(configured(database_url, ehr.url, write)) as gateway:
            await order(gateway, exam)
            images = perform((await worklist(gateway))[exam.accession_number], series=1, instances=4)
            await store(gateway, images[:2])
            await delivery_waits(gateway, "ehr0")
            await asyncio.to_thread(back_up, Path(database_url.removeprefix("sqlite:///")), copy)
            await ehr.listen()
            await quiet(gateway)
            await store(gateway, images[2:3])
            await quiet(gateway)
        assert held(ehr) == [(exam.study_uid, 3)]
        async with app.running(configured(f"sqlite:///{copy}", ehr.url, write)) as gateway:
            await quiet(gateway)
            await store(gateway, images)
            await quiet(gateway)
        assert held(ehr) == [(exam.study_uid, 4)]
