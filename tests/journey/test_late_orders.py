"""Studies that come before their orders reach the EHR linked, once the orders have come."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pydicom
from pydicom.uid import UID

from gateway.config.ehrs import Ehr
from gateway.config.receiver import Retry
from tests.conftest import comes_true
from tests.journey.messages import orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_scheduling import outcomes
from tests.journey.test_study_arrival import sample, send
from tests.peers.fhir_server import FhirServer

NUMBER = 6


def study(number: int) -> pydicom.Dataset:
    """A third of the studies have their accession number in a series alone, another third no Patient ID."""
    dataset = copy.deepcopy(sample())
    dataset.PatientID = f"P{number}"
    dataset.PatientName = "MUSTER^MAX"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(f"1.2.3.{number}"), UID(f"1.2.3.{number}.1")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number}.1.1")
    accession = f"ACC{number}"
    if number % 3 == 1:
        item = pydicom.Dataset()
        item.AccessionNumber = accession
        dataset.RequestAttributesSequence = [item]
    else:
        dataset.AccessionNumber = accession
    if number % 3 == 2:
        dataset.PatientID = ""
    return dataset


def order(number: int) -> bytes:
    return orm(
        control_id=f"MSG{number}", patient=f"P{number}^^^HOSP", placer=f"PL{number}", filler=f"FI{number}",
        accession=f"ACC{number}", procedure=f"RP{number}", step=f"S{number}", study_uid="",
    )  # fmt: skip


def _links(study: dict[str, Any]) -> list[str]:
    return [one["reference"] for one in study.get("basedOn", []) if "reference" in one]


@sqlite
async def test_every_study_is_linked(start: Start, fhir_server: FhirServer) -> None:
    retry = Retry(first_seconds=0.1, max_seconds=0.5)
    async with start(ehrs=[Ehr(name="ehr0", url=fhir_server.url, retry=retry, orders="write")]) as gateway:
        await send(gateway, *map(study, range(NUMBER)))
        await quiet(gateway)
        await outcomes(gateway, *map(order, range(NUMBER)))
        await quiet(gateway)
        await comes_true(partial(fhir_server.resources, "ImagingStudy"), lambda found: all(map(_links, found)))
        requests = {f"ServiceRequest/{one['id']}" for one in await fhir_server.resources("ServiceRequest")}
        studies = await fhir_server.resources("ImagingStudy")
    assert len(studies) == len(requests) == NUMBER
    assert {link for one in studies for link in _links(one)} == requests
    assert {one["subject"]["identifier"]["value"] for one in studies} == {f"P{number}" for number in range(NUMBER)}
