"""What a study cannot say stays with the study as a finding: nothing is held for it and nothing is lost."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiohttp import ClientSession
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import make_arrival
from gateway.clock import now
from gateway.config.http import Facade
from gateway.journey.study_arrival.station import StudyArrival
from gateway.operations.journey_of import journey
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing, studies
from gateway.store.schema import studies as rows
from gateway.wire.dimse import Caller, StoreRequest, client
from tests.journey.running import UNHURRIED, Start, config_of, quiet, sqlite
from tests.journey.test_odd_inputs import encoded
from tests.mapping.maximal import code, item
from tests.mapping.test_frames import group, multi_frame

ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
LONG = "1.2." + "3" * 62


def image(study: str = "2.25.1", number: str = "1", sop: str = "", series: str = "", **more: Any) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = ENHANCED_CT, sop or f"{study}.1.{number}"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260123", "093000", "A1"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "DOE^SECRET", "P1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.InstanceNumber = study, series or f"{study}.1", number
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = UID(ENHANCED_CT)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def framed(groups: Dataset, **more: Any) -> Dataset:
    return image(**{element.keyword: element.value for element in groups}, **more)


async def send(gateway: app.Running, *datasets: Dataset) -> None:
    stored = await client.store(
        "127.0.0.1", gateway.dicom_port, datasets, called_ae="GATEWAY", calling_ae="SCANNER", timeout=120
    )
    assert [status for _uid, status in stored] == [0] * len(datasets)
    await quiet(gateway)
    stuck = await gateway.store.read(lambda one: outbox_listing.listing(one, states=("parked", "rejected")))
    assert stuck == []


async def arrive(gateway: app.Running, data: bytes, sop_uid: str) -> StudyArrival:
    """Bring one encoded data set to the station, byte for byte."""
    config = config_of("sqlite:///unused.db")
    arrival = make_arrival(config, gateway.store, load_mappings(config), now)
    caller = Caller("SCANNER", "GATEWAY", "127.0.0.1")
    await arrival.store(StoreRequest(caller, ENHANCED_CT, sop_uid, str(ExplicitVRLittleEndian), data))
    await quiet(gateway)
    return arrival


async def findings(gateway: app.Running, uid: str = "2.25.1") -> dict[str, str]:
    """Place -> text, as the API gives them."""
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{gateway.http_port}/api/studies/{uid}") as got,
    ):
        return {one["place"]: one["text"] for one in (await got.json())["findings"]}


@sqlite
async def test_what_cannot_be_said_is_kept_with_the_study(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    odd: dict[str, Any] = {
        "StudyDate": "20261399",
        "DeviceUID": "SERIAL-77", "DeviceSerialNumber": "77", "Manufacturer": "ACME",
        "ProcedureCodeSequence": [code("CTX", "99RIS", "CT head", CodingSchemeUID="99RIS")],
        "Modality": "C  T", "StudyDescription": "\x01\x02",
    }  # fmt: skip
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        with caplog.at_level(logging.WARNING, "gateway.journey.study_settling"):
            await send(gateway, image(number="1", **odd), image(number="2", **odd))
        [resource] = ehr.resources("ImagingStudy")
        kept = await findings(gateway)
        told = await journey(gateway.store, AccessionNumber("A1"))
    assert resource["procedureCode"] == [{"text": "CT head"}]
    assert resource["series"][0]["performer"][0]["actor"]["identifier"]["value"] == "77"
    assert kept == {
        "StudyDate": "started: '20261399' is no date; it is left out",
        "StudyDescription": "description: nothing but control characters; it is left out",
        "Modality": "modality: 'C T' is not in the table 'study_modality'; it is left out (series 2.25.1.1)",
        "ProcedureCodeSequence.CodingSchemeUID": "'99RIS' is no UID or URI; it is left out",
        "DeviceUID": "'SERIAL-77' is no UID or URI; it is left out (series 2.25.1.1)",
    }
    assert told is not None
    [settled] = [event["text"] for event in told["events"] if event["text"].startswith("settled")]
    assert all(f"{place}: {text}" in settled for place, text in kept.items())
    [line] = [record.getMessage() for record in caplog.records if "findings of a study" in record.getMessage()]
    assert "(5): " in line
    assert not any(value in line for value in ("SECRET", "20261399", "2.25.1"))


@sqlite
async def test_of_several_values_the_first_is_taken(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image(StudyDescription=["CT head", "CT neck"], Modality=["CT", "PT"]))
        [resource] = ehr.resources("ImagingStudy")
        kept = await findings(gateway)
    assert (resource["description"], resource["series"][0]["modality"]["code"]) == ("CT head", "CT")
    assert kept == {
        "StudyDescription": "has 2 values; the first is taken (instance 2.25.1.1.1)",
        "Modality": "has 2 values; the first is taken (instance 2.25.1.1.1)",
    }


async def test_a_study_that_was_corrected_has_no_findings(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image(StudyDate="20261399"))
        assert list(await findings(gateway)) == ["StudyDate"]
        await send(gateway, image())
        assert await findings(gateway) == {}


@sqlite
async def test_an_instance_in_studies_of_two_patients_is_told_as_both_and_named_in_both(start: Start) -> None:
    """The rule: nothing is lost and nothing guessed; who looks at either study learns of the other."""
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image("2.25.1", sop="2.25.9"), image("2.25.1", "2"))
        assert await findings(gateway) == {}
        await send(gateway, image("2.25.2", sop="2.25.9", AccessionNumber="A2", PatientID="P2"))
        first, second = await findings(gateway), await findings(gateway, "2.25.2")
        told = await journey(gateway.store, AccessionNumber("A1"))
        listed = {
            one["identifier"][0]["value"]: [each["uid"] for each in one["series"][0]["instance"]]
            for one in ehr.resources("ImagingStudy")
        }
    assert listed == {"urn:oid:2.25.1": ["2.25.9", "2.25.1.1.2"], "urn:oid:2.25.2": ["2.25.9"]}
    assert first == {"SOPInstanceUID": "1 instance is also in study 2.25.2; both list them"}
    assert second == {
        "SOPInstanceUID": "1 instance is also in study 2.25.1; both list them",
        "PatientID": "1 instance stays in study 2.25.1, too, which names another patient",
    }
    assert told is not None
    assert any("also in study 2.25.2" in event["text"] for event in told["events"])


@sqlite
async def test_a_series_in_two_studies_and_an_instance_in_two_series(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image("2.25.1", series="2.25.7"), image("2.25.2", series="2.25.7"))
        await send(gateway, image("2.25.3", series="2.25.3.1", sop="2.25.8"))
        await send(gateway, image("2.25.3", series="2.25.3.2", sop="2.25.8"))
        found = {uid: await findings(gateway, uid) for uid in ("2.25.1", "2.25.2", "2.25.3")}
        assert len(ehr.resources("ImagingStudy")) == 3
    assert found == {
        "2.25.1": {"SeriesInstanceUID": "1 series is also in study 2.25.2; both list them"},
        "2.25.2": {"SeriesInstanceUID": "1 series is also in study 2.25.1; both list them"},
        "2.25.3": {"SOPInstanceUID": "1 instance is in more than one series of this study"},
    }


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_uids_that_fhir_cannot_hold_hold_up_nothing(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, facade=Facade(enabled=True)) as gateway:
        await send(gateway, image(LONG, series="2.25.5.1", sop="2.25.5.2"))
        await send(gateway, image("2.25.1"), image("2.25.1", "3", series=LONG))
        # pynetdicom sends no such SOP Instance UID.
        await arrive(gateway, encoded(image("2.25.1", "2", sop=LONG)), LONG)
        long, short = await findings(gateway, LONG), await findings(gateway)
        studies_ = {one["identifier"][0]["value"]: one for one in ehr.resources("ImagingStudy")}
        async with (
            ClientSession() as session,
            session.get(f"http://127.0.0.1:{gateway.http_port}/fhir/ImagingStudy") as got,
        ):
            served = [one["resource"]["id"] for one in (await got.json())["entry"]]
    told = studies_["urn:oid:2.25.1"]
    assert [one["uid"] for one in told["series"]] == ["2.25.1.1"]
    assert [one["uid"] for one in told["series"][0]["instance"]] == ["2.25.1.1.1"]
    assert (told["numberOfSeries"], told["numberOfInstances"]) == (2, 3)
    assert f"urn:oid:{LONG}" in studies_
    assert (list(long), sorted(short)) == (["StudyInstanceUID"], ["SOPInstanceUID", "SeriesInstanceUID"])
    assert served == ["2.25.1"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_attribute_with_broken_items_costs_only_itself(start: Start) -> None:
    dataset = image(ProcedureCodeSequence=[code("X", "99RIS", "CT")])
    whole = encoded(dataset)
    at = whole.index(b"\x08\x00\x00\x01SH")
    broken = whole[: at + 6] + b"\x40\x00" + whole[at + 8 :]
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        arrival = await arrive(gateway, broken, "2.25.1.1.1")
        [resource] = ehr.resources("ImagingStudy")
        kept = await findings(gateway)
        assert await arrival.replay(StudyInstanceUID("2.25.1")) == 1
        await quiet(gateway)
        assert await findings(gateway) == kept
    assert "procedureCode" not in resource
    assert resource["series"][0]["instance"][0]["number"] == 1
    assert list(kept) == ["(0008,0100)"]
    assert kept["(0008,0100)"].endswith("the attribute is left out (instance 2.25.1.1.1)")


@sqlite
async def test_headers_that_are_read_again_give_the_columns_too(start: Start, database_url: str) -> None:
    """The study is found by what its headers say today: accession number, Patient ID and issuer."""
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, image(IssuerOfPatientID="HOSP"))

        def overwrite(connection: Any) -> None:
            former = {"accession": "OLD", "patient_id": "OLD", "patient_issuer": "OLD"}
            connection.execute(rows.update().values(former))

        await gateway.store.write(overwrite)
        config = config_of(database_url, ehr.url)
        await make_arrival(config, gateway.store, load_mappings(config), now).replay(StudyInstanceUID("2.25.1"))
        [row] = await gateway.store.read(lambda c: studies.of_accession_number(c, AccessionNumber("A1")))
        assert (row["patient_id"], row["patient_issuer"]) == ("P1", "HOSP")
        assert await gateway.store.read(lambda c: c.execute(select(rows.c.accession)).scalars().all()) == ["A1"]


ROOT = "2.25.70"
SIDES: list[tuple[list[Dataset], str | None, list[str]]] = [
    ([framed(multi_frame(group("R"), item()), study=f"{ROOT}0")], "24028007", []),
    ([framed(multi_frame(item(), group("B"), group("B")), study=f"{ROOT}1")], "51440002", []),
    ([framed(multi_frame(item(), group("U"), group("U")), study=f"{ROOT}2")], None, []),
    ([framed(multi_frame(item(), group("L"), group("R")), study=f"{ROOT}3")], None, ["FrameLaterality"]),
    (
        [framed(multi_frame(group("L"), item()), study=f"{ROOT}4"),
         framed(multi_frame(group("R"), item()), study=f"{ROOT}4", number="2")],
        None, [],
    ),
    (
        [framed(multi_frame(group("L"), item()), study=f"{ROOT}5"),
         image(f"{ROOT}5", number="2", ImageLaterality="R")],
        None, [],
    ),
]  # fmt: skip
"""The images of a study, the code of the side of its series, and the places of its findings."""


@sqlite
async def test_anatomy_and_side_of_multi_frame_objects(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, *(one for sent, _, _ in SIDES for one in sent))
        places = [list(await findings(gateway, f"{ROOT}{number}")) for number in range(len(SIDES))]
    held = {one["identifier"][0]["value"]: one["series"] for one in ehr.resources("ImagingStudy")}
    all_series = [held[f"urn:oid:{ROOT}{number}"] for number in range(len(SIDES))]
    assert {series["bodySite"]["code"] for [series] in all_series} == {"69536005"}
    codes = [series.get("laterality", {}).get("code") for [series] in all_series]
    assert list(zip(codes, places, strict=True)) == [(side, found) for _, side, found in SIDES]
