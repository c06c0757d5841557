"""A series or an instance that a person excludes is not in what EHRs hold, until that is taken back."""

from __future__ import annotations

from functools import partial
from typing import Any

import aiohttp
import pytest
from pydicom.uid import UID

from gateway.assembly import process as app
from gateway.records.identifiers import StudyInstanceUID
from gateway.simulators.ehr import EhrSimulator
from gateway.store import exclusions, outbox_listing, studies
from tests.journey.running import UNHURRIED, Start, quiet, sqlite
from tests.journey.test_study_arrival import sample, send


def another(number: int, **changes: Any) -> Any:
    """An instance of the same study and series."""
    dataset = sample()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{dataset.SOPInstanceUID}.{number}")
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


async def change(gateway: app.Running, what: str, study_uid: str, part: str) -> tuple[int, Any]:
    address = f"http://127.0.0.1:{gateway.http_port}/api/studies/{study_uid}/{what}"
    fields = {"part": part, "note": "another patient", "person": "night"}
    async with aiohttp.ClientSession() as session, session.post(address, params=fields) as response:
        answer = await response.json()
    await quiet(gateway)
    return response.status, answer


def held(ehr: EhrSimulator) -> tuple[int, int, str]:
    """(instances, series, meta.versionId) of the ImagingStudy in the EHR."""
    [resource] = ehr.resources("ImagingStudy")
    return resource["numberOfInstances"], resource["numberOfSeries"], resource["meta"]["versionId"]


async def test_an_instance_is_excluded_stays_so_when_sent_again_and_comes_back(start: Start) -> None:
    first, second = sample(), another(2)
    uid = StudyInstanceUID(str(first.StudyInstanceUID))
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        await send(gateway, first, second)
        await quiet(gateway)
        assert held(ehr) == (2, 1, "1")
        status, answer = await change(gateway, "exclude", uid, second.SOPInstanceUID)
        assert (status, answer["level"], answer["changed"], answer["instances"]) == (200, "instance", True, 1)
        assert held(ehr) == (1, 1, "2")
        second.InstanceNumber = 77
        await send(gateway, second)
        await quiet(gateway)
        assert held(ehr) == (1, 1, "2")
        assert (await change(gateway, "exclude", uid, second.SOPInstanceUID))[1]["changed"] is False
        assert (await change(gateway, "include", uid, second.SOPInstanceUID))[1]["instances"] == 2
        assert held(ehr) == (2, 1, "3")
        [kept] = await gateway.store.read(partial(exclusions.history, study_uid=uid))
        assert (kept.begun.person, kept.begun.note) == ("night", "another patient")
        assert kept.ended is not None


@sqlite
async def test_a_series_is_excluded_but_not_all_of_a_study(start: Start) -> None:
    first = sample()
    other = another(2, SeriesInstanceUID=UID(f"{first.SeriesInstanceUID}.2"))
    uid = str(first.StudyInstanceUID)
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        await send(gateway, first, other)
        await quiet(gateway)
        assert held(ehr) == (2, 2, "1")
        assert (await change(gateway, "exclude", uid, other.SeriesInstanceUID))[1]["level"] == "series"
        assert held(ehr) == (1, 1, "2")
        status, answer = await change(gateway, "exclude", uid, first.SOPInstanceUID)
        assert (status, answer["error"]["message"][:38]) == (409, "nothing of the study would be left; 'g")
        assert held(ehr) == (1, 1, "2")


@sqlite
async def test_excluding_what_is_of_another_patient_lets_a_study_settle(start: Start) -> None:
    """Study and patient then follow from what is left, whichever came first."""
    wrong = another(0, PatientID="SOMEONE-ELSE", AccessionNumber="ACC9")
    wrong.SOPInstanceUID = wrong.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    right = sample()
    uid = StudyInstanceUID(str(right.StudyInstanceUID))
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        await send(gateway, wrong, right)
        await quiet(gateway)
        assert ehr.resources("ImagingStudy") == []
        await change(gateway, "exclude", uid, wrong.SOPInstanceUID)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == right.PatientID
        row = await gateway.store.read(lambda connection: studies.get(connection, uid))
        assert row is not None
        assert (row["patient_id"], row["accession"]) == (right.PatientID, str(right.AccessionNumber or ""))
        assert await gateway.store.read(partial(outbox_listing.listing, states=("parked",))) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_part_that_is_nowhere(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        await send(gateway, sample())
        await quiet(gateway)
        status, _ = await change(gateway, "exclude", str(sample().StudyInstanceUID), "1.2.3")
        assert status == 404
