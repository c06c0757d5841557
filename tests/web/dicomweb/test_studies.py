"""Searches for studies, their metadata and their retrieval, by the clients of other makes (PS3.18 chapter 10)."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.store.schema import pixel_files
from tests.journey.running import Start, quiet
from tests.journey.test_image_forwarding import forwarding, send
from tests.peers.dicomweb_client_js import read_study
from tests.peers.orthanc import Orthanc
from tests.web.dicomweb.client import client_of
from tests.web.dicomweb.studies import ROOT, XML_PARTS, found, image

ARGER = "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}RGER^ANNA"
STUDIES = [
    *(image(1, 1, number) for number in (1, 2, 3)),
    image(1, 2, 1, Modality="SR"),
    image(2, Modality="MR", PatientName=ARGER),
    image(3, PatientSex="F"),
]


@pytest.fixture
async def gateway(start: Start, tmp_path: Path) -> AsyncIterator[app.Running]:
    """A gateway that keeps pixels, with three studies of six images."""
    async with start(**forwarding(tmp_path / "spool")) as running:
        await send(running, *STUDIES)
        await quiet(running)
        yield running


def base_of(gateway: app.Running) -> str:
    return f"http://127.0.0.1:{gateway.http_port}/dicomweb"


MATCHES = {
    "/studies": ["1", "2", "3"],
    "/studies?PatientID=P2": ["2"],
    "/studies?00100020=P2&00080050=A2": ["2"],
    "/studies?PatientID=P2&AccessionNumber=A1": [],
    "/studies?StudyDate=20260302-": ["2", "3"],
    "/studies?StudyDate=20260301-20260302": ["1", "2"],
    "/studies?StudyDate=20260302": ["2"],
    "/studies?StudyDate=20260301-20260303&StudyTime=013000-023000": ["2"],
    "/studies?PatientName=MUSTER*": ["1", "3"],
    "/studies?PatientName=muster^erika1": ["1"],
    "/studies?PatientName=ARGER*": ["2"],
    "/studies?PatientName=MUSTRE&fuzzymatching=true": ["1", "3"],
    "/studies?PatientName=*NNA": ["2"],
    "/studies?ModalitiesInStudy=SR": ["1"],
    "/studies?ModalitiesInStudy=M*": ["2"],
    "/studies?ModalitiesInStudy=CT&PatientSex=F": ["3"],
    f"/studies?StudyInstanceUID={ROOT}.1,{ROOT}.3": ["1", "3"],
    f"/studies?StudyInstanceUID={ROOT}.9": [],
    "/studies?limit=2": ["2", "3"],
    "/studies?limit=2&offset=2": ["1"],
    "/studies?offset=3": [],
    "/studies?limit=0": [],
    "/series?Modality=SR": ["1.2"],
    "/series?PatientID=P1&SeriesNumber=1": ["1.1"],
    f"/studies/{ROOT}.1/series": ["1.1", "1.2"],
    f"/studies/{ROOT}.1/series?Modality=CT": ["1.1"],
    f"/studies/{ROOT}.1/instances": ["1.1.1", "1.1.2", "1.1.3", "1.2.1"],
    f"/studies/{ROOT}.1/series/{ROOT}.1.1/instances?InstanceNumber=2": ["1.1.2"],
    f"/studies/{ROOT}.9/instances": [],
    "/instances?PatientID=P1&Modality=SR": ["1.2.1"],
    f"/instances?SOPInstanceUID={ROOT}.2.1.1": ["2.1.1"],
    "/instances?PatientName=MUSTER*&limit=2&offset=1": ["1.1.2", "1.1.3"],
}


async def test_each_search_finds_what_matches(gateway: app.Running) -> None:
    async with client_of(gateway) as client:
        assert {path: await found(client, path) for path in MATCHES} == MATCHES


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_results_pages_and_warnings(gateway: app.Running) -> None:
    async with client_of(gateway) as client:
        [study] = (await client.ask("GET", "/studies?PatientID=P1&includefield=StudyDescription")).json
        assert study["00080061"]["Value"] == ["CT", "SR"]
        assert [study[tag]["Value"] for tag in ("00201206", "00201208")] == [[2], [4]]
        assert study["00081030"]["Value"] == [str(image(1).StudyDescription)]
        assert study["00080005"]["Value"] == ["ISO_IR 192"]
        assert study["00081190"]["Value"] == [f"{client.base}/studies/{ROOT}.1"]
        assert study["00100030"] == {"vr": "DA"}, "without a value where none is known"
        assert "00080020" in study
        [series] = (await client.ask("GET", f"/studies/{ROOT}.1/series?Modality=CT")).json
        assert series["00201209"]["Value"] == [3]
        assert "00100010" not in series
        [relational] = (await client.ask("GET", "/series?Modality=SR")).json
        assert relational["00100010"]["Value"] == [{"Alphabetic": "MUSTER^ERIKA1"}]
        one, *_ = (await client.ask("GET", f"/studies/{ROOT}.1/instances?includefield=00281050")).json
        assert [one[tag]["Value"] for tag in ("00280010", "00280011", "00280100")] == [[128], [128], [16]]
        assert one["00080056"]["Value"] == ["ONLINE"]
        assert one["00083002"]["Value"] == [ExplicitVRLittleEndian]
        paged = await client.ask("GET", "/instances?limit=2")
        assert paged.warnings == ["There are 4 additional results that can be requested"]
        left_out = await client.ask("GET", "/studies?Rows=512&emptyvaluematching=true")
        assert left_out.warnings == [
            "The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed.",
            "Not matched, because they are not kept for searches of this level: Rows",
        ]
        for query in ("limit=x", "StudyDate=2026030", "includefield=all,Rows", "PatientID=1&PatientID=2"):
            assert (await client.ask("GET", f"/studies?{query}")).status == 400, query
        for accept, status in ((None, 406), ("image/png", 406), (XML_PARTS, 200), ("application/dicom+xml", 406)):
            assert (await client.ask("GET", "/studies", accept=accept)).status == status
        assert (await client.ask("GET", "/studies/one/series")).status == 400


def by_client(base: str) -> dict[str, Any]:
    """What dicomweb-client of PyPI reads of the first study."""
    client = DICOMwebClient(base)
    metadata = [Dataset.from_json(one) for one in client.retrieve_study_metadata(f"{ROOT}.1")]
    files = client.retrieve_study(f"{ROOT}.1")
    ids = (f"{ROOT}.1", f"{ROOT}.1.1", f"{ROOT}.1.1.2")
    return {
        "studies": [one["0020000D"]["Value"][0] for one in client.search_for_studies(get_remaining=True, limit=1)],
        "series": len(client.search_for_series(f"{ROOT}.1")),
        "instances": len(client.search_for_instances(search_filters={"PatientName": "MUSTER*"})),
        "metadata": metadata,
        "series_metadata": len(client.retrieve_series_metadata(*ids[:2])),
        "instance_metadata": client.retrieve_instance_metadata(*ids)["00080018"]["Value"],
        "files": files,
        "of_series": len(client.retrieve_series(*ids[:2])),
        "file": client.retrieve_instance(*ids),
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_dicomweb_client_of_pypi_reads_a_study(gateway: app.Running) -> None:
    read = await asyncio.to_thread(by_client, base_of(gateway))
    assert read["studies"] == [f"{ROOT}.{number}" for number in (3, 2, 1)]
    assert (read["series"], read["instances"], read["series_metadata"], read["of_series"]) == (2, 5, 3, 3)
    assert read["instance_metadata"] == [f"{ROOT}.1.1.2"]
    sent = {one.SOPInstanceUID: one for one in STUDIES}
    assert {one.SOPInstanceUID for one in read["metadata"]} == {uid for uid in sent if uid.startswith(f"{ROOT}.1.")}
    for got in read["metadata"]:
        expected = copy.deepcopy(sent[got.SOPInstanceUID])
        del expected.PixelData
        assert got.SpecificCharacterSet == "ISO_IR 192"
        expected.SpecificCharacterSet = got.SpecificCharacterSet
        assert got.to_json_dict() == expected.to_json_dict()
    for got in [*read["files"], read["file"]]:
        assert got.PixelData == sent[got.SOPInstanceUID].PixelData
        assert got == sent[got.SOPInstanceUID]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_client_of_ohif_reads_a_study(gateway: app.Running, tmp_path: Path) -> None:
    read = await read_study(base_of(gateway), f"{ROOT}.1")
    files = await gateway.store.read(lambda connection: list(connection.execute(select(pixel_files.c.size)).scalars()))
    uids = [f"{ROOT}.1.1.1", f"{ROOT}.1.1.2", f"{ROOT}.1.1.3", f"{ROOT}.1.2.1"]
    assert read == {
        "studies": [f"{ROOT}.1"], "description": str(image(1).StudyDescription),
        "series": [f"{ROOT}.1.1", f"{ROOT}.1.2"],
        "instances": uids, "metadata": uids, "of_series": uids[:3], "of_instance": uids[:1],
        "files": sorted(files[:4]), "file": files[0],
    }  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_orthanc_retrieves_studies(gateway: app.Running, orthanc_web: Orthanc) -> None:
    assert await orthanc_web.retrieve_from(base_of(gateway), f"{ROOT}.1") == 4
    assert (await orthanc_web.statistics()).instances == 4
