"""The whole journey, through real peers: python-hl7, DCMTK, Orthanc and a real FHIR server, on both databases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pydicom

from gateway.config.site import Site
from tests.journey.messages import orm
from tests.journey.running import Start, quiet, sqlite
from tests.peers.dcmtk import findscu, storescu
from tests.peers.fhir_server import FhirServer
from tests.peers.mllp import mllp_send
from tests.peers.orthanc import Orthanc

PATIENT = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests/98892003"
"""Three MR studies of one synthetic patient, 17 files, as pydicom brings them."""
ACCESSION_OF_STUDY = "134"


def files_of_patient() -> list[Path]:
    return sorted(one for one in PATIENT.rglob("*") if one.is_file())


def counted() -> dict[str, tuple[int, int]]:
    """Study Instance UID -> (series, instances), as pydicom counts them."""
    found: dict[str, Counter[str]] = {}
    for file in files_of_patient():
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        found.setdefault(str(dataset.StudyInstanceUID), Counter())[str(dataset.SeriesInstanceUID)] += 1
    return {uid: (len(series), series.total()) for uid, series in found.items()}


def held(resources: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """What an EHR's ImagingStudy resources say, counted from their lists; the announced counts must agree."""
    found = {}
    for one in resources:
        [uid] = [i["value"] for i in one["identifier"] if i["system"] == "urn:dicom:uid"]
        instances = sum(len(series["instance"]) for series in one["series"])
        assert (one["numberOfSeries"], one["numberOfInstances"]) == (len(one["series"]), instances)
        found[uid.removeprefix("urn:oid:")] = (len(one["series"]), instances)
    return found


def numbers_of(resource: dict[str, Any]) -> set[str]:
    """The orders that an ImagingStudy says it answers, by their numbers."""
    return {one["identifier"]["value"] for one in resource.get("basedOn", [])}


async def test_order_worklist_study_imaging_study(start: Start, fhir_server: FhirServer) -> None:
    sample = pydicom.dcmread(files_of_patient()[0], stop_before_pixels=True)
    by_accession = {str(pydicom.dcmread(f, stop_before_pixels=True).AccessionNumber) for f in files_of_patient()}
    assert by_accession == {"2", "134", "428"}
    async with start(fhir_server.url) as gateway:
        order = orm(
            patient=f"{sample.PatientID}^^^HOSP", accession=ACCESSION_OF_STUDY, study_uid="2.25.777", modality="MR"
        )
        [answer] = await mllp_send(gateway.hl7_ports["ris"], order)
        assert "\rMSA|AA|MSG1" in answer

        found = await findscu(
            gateway.dicom_port, f"PatientID={sample.PatientID}", "AccessionNumber", "StudyInstanceUID",
            "PatientName", "ScheduledProcedureStepSequence[0].Modality=MR",
        )  # fmt: skip
        assert len(found.items) == 1
        assert found.items[0].AccessionNumber == ACCESSION_OF_STUDY
        assert found.items[0].StudyInstanceUID == "2.25.777"

        sent = await storescu(gateway.dicom_port, *files_of_patient())
        assert sent.returncode == 0, sent.stderr
        await quiet(gateway)
        resources = await fhir_server.resources("ImagingStudy")
        assert held(resources) == counted()
        based_on = [one["basedOn"] for one in resources if numbers_of(one) == {ACCESSION_OF_STUDY}]
        assert [len(one) for one in based_on] == [1]
        assert {one["subject"]["identifier"]["value"] for one in resources} == {str(sample.PatientID)}


@sqlite
async def test_sending_again_changes_nothing_and_growing_updates_the_one(start: Start, fhir_server: FhirServer) -> None:
    *most, last = files_of_patient()
    grown = str(pydicom.dcmread(last, stop_before_pixels=True).StudyInstanceUID)
    async with start(fhir_server.url) as gateway:
        await storescu(gateway.dicom_port, *most)
        await quiet(gateway)
        first = {one["id"]: one["meta"]["versionId"] for one in await fhir_server.resources("ImagingStudy")}
        assert len(first) == 3

        again = await storescu(gateway.dicom_port, *most)
        assert again.returncode == 0
        await quiet(gateway)
        assert {one["id"]: one["meta"]["versionId"] for one in await fhir_server.resources("ImagingStudy")} == first

        await storescu(gateway.dicom_port, last)
        await quiet(gateway)
        resources = await fhir_server.resources("ImagingStudy")
        assert held(resources) == counted()
        changed = [one for one in resources if first[one["id"]] != one["meta"]["versionId"]]
        assert [f"urn:oid:{grown}"] == [one["identifier"][0]["value"] for one in changed]


@sqlite
async def test_orthanc_sends_a_study(start: Start, fhir_server: FhirServer, orthanc: Orthanc) -> None:
    async with start(fhir_server.url) as gateway:
        await orthanc.upload(*files_of_patient())
        report = await orthanc.send_to("GATEWAY", gateway.dicom_port)
        assert report["FailedInstancesCount"] == 0
        await quiet(gateway)
        assert held(await fhir_server.resources("ImagingStudy")) == counted()


@sqlite
async def test_study_that_came_before_its_order_is_linked_afterwards(start: Start, fhir_server: FhirServer) -> None:
    sample = pydicom.dcmread(files_of_patient()[0], stop_before_pixels=True)
    async with start(fhir_server.url) as gateway:
        await storescu(gateway.dicom_port, files_of_patient()[0])
        await quiet(gateway)
        [before] = await fhir_server.resources("ImagingStudy")
        assert numbers_of(before) == {str(sample.AccessionNumber)}
        await mllp_send(
            gateway.hl7_ports["ris"], orm(patient=f"{sample.PatientID}^^^HOSP", study_uid=str(sample.StudyInstanceUID))
        )
        await quiet(gateway)
        [after] = await fhir_server.resources("ImagingStudy")
        assert after["id"] == before["id"]
        assert "ACC1" in numbers_of(after)


@sqlite
async def test_a_study_without_issuer_is_of_the_patient_who_was_ordered_for(
    start: Start, fhir_server: FhirServer
) -> None:
    """Scanners that do not copy Issuer of Patient ID from the worklist are many."""
    files = files_of_patient()
    sample = pydicom.dcmread(files[0], stop_before_pixels=True)
    site = Site(identifier_systems={"HOSP": "urn:oid:2.25.1"})
    async with start(fhir_server.url, site=site) as gateway:
        await mllp_send(
            gateway.hl7_ports["ris"], orm(patient=f"{sample.PatientID}^^^HOSP", study_uid=str(sample.StudyInstanceUID))
        )
        await storescu(gateway.dicom_port, *files)
        await quiet(gateway)
        systems = {
            "ACC1" in numbers_of(one): one["subject"]["identifier"]["system"]
            for one in await fhir_server.resources("ImagingStudy")
        }
    assert systems[True] == "urn:oid:2.25.1"
    assert systems[False].startswith("urn:uuid:")


async def test_restart_forgets_nothing(start: Start, fhir_server: FhirServer) -> None:
    """Instances that came before a stop become a resource after the next start."""
    async with start(fhir_server.url) as gateway:
        await storescu(gateway.dicom_port, *files_of_patient())
    async with start(fhir_server.url) as gateway:
        await quiet(gateway)
    assert held(await fhir_server.resources("ImagingStudy")) == counted()
