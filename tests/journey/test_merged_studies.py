"""Merges and changed Patient IDs after the study was sent: what the EHR holds before and after."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.assembly import process as app
from gateway.simulators import modality
from gateway.simulators.studies import perform
from gateway.wire.fhir.sameness import says_the_same
from tests.journey.messages import adt, orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_scheduling import outcomes
from tests.peers.fhir_server import FhirServer

LATER, LATEST = "20260123130000", "20260123140000"


async def performed(gateway: app.Running) -> list[Dataset]:
    [item] = await modality.query("127.0.0.1", gateway.dicom_port)
    return list(perform(item, series=1, instances=2))


async def stored(gateway: app.Running, datasets: list[Dataset]) -> None:
    await modality.send("127.0.0.1", gateway.dicom_port, datasets)
    await quiet(gateway)


def statement_about(resource: dict[str, Any]) -> tuple[str, str, str]:
    """Patient ID, name and accession number of the order."""
    subject, [order] = resource["subject"], resource["basedOn"]
    return subject["identifier"]["value"], subject["display"], order["identifier"]["value"]


@sqlite
@pytest.mark.parametrize("trigger", ["A40", "A47"])
async def test_a_study_that_was_sent_goes_to_the_survivor(start: Start, fhir_server: FhirServer, trigger: str) -> None:
    async with start(fhir_server.url) as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        await stored(gateway, await performed(gateway))
        [before] = await fhir_server.resources("ImagingStudy")
        assert statement_about(before) == ("OLD", "E MAIER", "ACC1")
        merge = adt(trigger, patient="NEW^^^HOSP", name="MEIER^ERIKA", prior="OLD^^^HOSP", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        await quiet(gateway)
        [after] = await fhir_server.resources("ImagingStudy")
        assert statement_about(after) == ("NEW", "ERIKA MEIER", "ACC1")
        assert after["id"] == before["id"]
        assert says_the_same(after, {**before, "subject": after["subject"], "basedOn": after["basedOn"]})


@sqlite
async def test_images_that_come_after_the_merge_go_to_the_survivor(start: Start, fhir_server: FhirServer) -> None:
    """The modality took the old Patient ID from its worklist before."""
    async with start(fhir_server.url) as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        datasets = await performed(gateway)
        await stored(gateway, datasets[:1])
        merge = adt("A40", patient="NEW^^^HOSP", name="MEIER^ERIKA", prior="OLD^^^HOSP", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        await stored(gateway, datasets[1:])
        [held] = await fhir_server.resources("ImagingStudy")
        assert (*statement_about(held), held["numberOfInstances"]) == ("NEW", "ERIKA MEIER", "ACC1", 2)


async def test_images_around_a_merge_are_of_one_patient(start: Start, fhir_server: FhirServer) -> None:
    """The first image has the old Patient ID, the second the new one, which the modality has learnt meanwhile."""
    async with start(fhir_server.url) as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        first, second = await performed(gateway)
        await stored(gateway, [first])
        merge = adt("A40", patient="NEW^^^HOSP", name="MEIER^ERIKA", prior="OLD^^^HOSP", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        second.PatientID, second.PatientName = "NEW", "MEIER^ERIKA"
        await stored(gateway, [second])
        [held] = await fhir_server.resources("ImagingStudy")
        assert (*statement_about(held), held["numberOfInstances"]) == ("NEW", "ERIKA MEIER", "ACC1", 2)


@sqlite
async def test_a_chain_of_merges_takes_the_study_along(start: Start, fhir_server: FhirServer) -> None:
    async with start(fhir_server.url) as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        await stored(gateway, await performed(gateway))
        first = adt("A40", patient="MID^^^HOSP", name="MEIER^E", prior="OLD^^^HOSP", at=LATER)
        second = adt("A40", control_id="2", patient="NEW^^^HOSP", name="MEYER^E", prior="MID^^^HOSP", at=LATEST)
        assert await outcomes(gateway, first) == ["AA"]
        await quiet(gateway)
        assert await outcomes(gateway, second) == ["AA"]
        await quiet(gateway)
        [held] = await fhir_server.resources("ImagingStudy")
        assert statement_about(held) == ("NEW", "E MEYER", "ACC1")


@sqlite
async def test_another_authority_s_patient_of_the_same_number_stays(start: Start, fhir_server: FhirServer) -> None:
    async with start(fhir_server.url) as gateway:
        assert await outcomes(gateway, orm(patient="OLD^^^HOSP", name="MAIER^E")) == ["AA"]
        await stored(gateway, await performed(gateway))
        merge = adt("A40", patient="NEW^^^CLINIC", name="OTHER^ONE", prior="OLD^^^CLINIC", at=LATER)
        assert await outcomes(gateway, merge) == ["AA"]
        await quiet(gateway)
        [held] = await fhir_server.resources("ImagingStudy")
        assert statement_about(held) == ("OLD", "E MAIER", "ACC1")
