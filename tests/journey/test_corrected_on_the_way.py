"""Attributes that are corrected on the way to archives: after a merge, of the linked order, by a site's table."""

from __future__ import annotations

import json
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pydicom
from pydicom.dataset import Dataset
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.config.tree import MappingsSection
from gateway.operations import journey_of, studies_view
from gateway.operations.parked import parked_work
from gateway.records.identifiers import AccessionNumber, StudyInstanceUID
from gateway.store.schema import audit, outbox
from tests.conftest import comes_true
from tests.journey.messages import adt, orm
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_image_forwarding import data_set_of, forwarding, instances, send, to
from tests.journey.test_scheduling import outcomes
from tests.mapping.samples import site
from tests.peers.dcmtk import storescp
from tests.peers.orthanc import Orthanc
from tests.pixels.samples import saved

STUDY = StudyInstanceUID("1.2.826.0.1.3680043.8.498.18")
OF_SURVIVOR = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")
MERGE = adt("A40", patient="NEW^^^HOSP", name="MEIER^ERIKA", prior="OLD^^^HOSP", at="20260123130000")


def of_patient(number: int = 2, **attributes: Any) -> list[Dataset]:
    made = []
    for one in instances(number):
        assert isinstance(one, Dataset)
        one.PatientID, one.PatientName, one.AccessionNumber = "OLD", "MAIER^E", "ACC1"
        for name, value in attributes.items():
            setattr(one, name, value)
        made.append(one)
    return made


async def ordered(gateway: app.Running, *more: bytes) -> None:
    order = orm(patient="OLD^^^HOSP", name="MAIER^E", study_uid=STUDY)
    assert await outcomes(gateway, order, *more) == ["AA"] * (1 + len(more))


async def outcomes_of(gateway: app.Running, destination: str) -> list[dict[str, Any]]:
    wanted = select(outbox.c.outcome).where(outbox.c.kind == f"store:{destination}")
    return list(await gateway.store.read(lambda connection: connection.execute(wanted).scalars().all()))


async def noted(gateway: app.Running, destination: str, number: int) -> list[dict[str, Any]]:
    """So many events of the audit trail that name the destination; they are chained soon after they were noted."""

    async def noted_so_far() -> list[dict[str, Any]]:
        events = await gateway.store.read(lambda c: c.execute(select(audit.c.event)).scalars().all())
        return [json.loads(one) for one in events if f'"{destination}"' in one]

    found: list[dict[str, Any]] = await comes_true(noted_so_far, lambda events: len(events) == number)
    return found


def received(folder: Path) -> dict[str, Dataset]:
    return {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, folder.iterdir())}


async def shown(gateway: app.Running) -> dict[str, dict[str, int]]:
    study = await gateway.store.read(lambda connection: studies_view.detail(connection, STUDY))
    assert study is not None
    return {one.destination: one.corrected for one in study.images}


@sqlite
async def test_images_of_a_merged_patient_go_to_the_survivor(start: Start, orthanc: Orthanc, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()
    with storescp(held, "+xa") as port:
        corrected = to(orthanc.dicom_port, "orthanc", ae_title="ORTHANC", corrections=True)
        async with start(**forwarding(tmp_path / "spool", corrected, to(port, "as-they-came"))) as gateway:
            await ordered(gateway, MERGE)
            await send(gateway, *of_patient())
            await quiet(gateway)
            assert await shown(gateway) == {"as-they-came": {}, "orthanc": dict.fromkeys(sorted(OF_SURVIVOR), 2)}
            page = await gateway.store.read(partial(journey_of.read_journey, accession_number=AccessionNumber("ACC1")))
            outcome = await outcomes_of(gateway, "orthanc")
            async with aiohttp.ClientSession() as session:
                address = f"http://127.0.0.1:{gateway.http_port}/studies/{STUDY}"
                async with session.get(address) as response:
                    shown_there = await response.text()
    async with start(**forwarding(tmp_path / "spool")) as gateway:
        began, went = await noted(gateway, "orthanc", 2)
    assert f"corrected: {', '.join(sorted(OF_SURVIVOR))}" in shown_there
    assert page is not None
    assert [one.text for one in page.events if "to orthanc" in one.text] == [
        f"2 instances sent to orthanc; corrected: {', '.join(sorted(OF_SURVIVOR))}"
    ]
    assert [one["corrected"] for one in outcome] == [list(OF_SURVIVOR)] * 2
    assert began["patients"] == went["patients"] == ["OLD", "NEW"]
    assert sorted(went["detail"]["corrected"].split()) == [f"{one}=2" for one in sorted(OF_SURVIVOR)]
    for one in [pydicom.dcmread(BytesIO(each)) for each in await orthanc.files()]:
        assert (one.PatientID, str(one.PatientName), one.IssuerOfPatientID) == ("NEW", "MEIER^ERIKA", "HOSP")
        [original] = one.OriginalAttributesSequence
        [before] = original.ModifiedAttributesSequence
        assert (before.PatientID, str(before.PatientName), before.IssuerOfPatientID) == ("OLD", "MAIER^E", "")
        assert (original.ModifyingSystem, original.SourceOfPreviousValues) == ("GATEWAY", "CT1")
        assert original.ReasonForTheAttributeModification == "COERCE"
        assert original.AttributeModificationDateTime
    spooled = {data_set_of(one) for one in (tmp_path / "spool").rglob("*.dcm")}
    assert {data_set_of(one) for one in held.iterdir()} == spooled
    assert not list((tmp_path / "spool").glob("sending-*"))


@sqlite
async def test_the_accession_number_of_the_order(start: Start, tmp_path: Path) -> None:
    """The operator typed another; the study is the order's by its Study Instance UID."""
    held = tmp_path / "held"
    held.mkdir()
    with storescp(held, "+xi") as port:
        destination = to(port, corrections=["order"])
        async with start(**forwarding(tmp_path / "spool", destination)) as gateway:
            await ordered(gateway, MERGE)
            typed, right = of_patient()
            typed.AccessionNumber = "ACC l"
            await send(gateway, typed, right)
            await quiet(gateway)
            assert await shown(gateway) == {"pacs": {"AccessionNumber": 1}}
    files = received(held)
    corrected, same = (files[str(one.SOPInstanceUID)] for one in (typed, right))
    assert corrected.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert (corrected.AccessionNumber, corrected.PatientID) == ("ACC1", "OLD")
    [original] = corrected.OriginalAttributesSequence
    assert original.ModifiedAttributesSequence[0].AccessionNumber == "ACC l"
    assert original.ReasonForTheAttributeModification == "CORRECT"
    assert "OriginalAttributesSequence" not in same


@sqlite
async def test_the_patient_of_the_order_where_the_images_name_none(start: Start, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()
    with storescp(held, "+xa") as port:
        async with start(**forwarding(tmp_path / "spool", to(port, corrections=True))) as gateway:
            await ordered(gateway)
            await send(gateway, *of_patient(1, PatientID="", PatientName="Emergency"))
            await quiet(gateway)
    [one] = received(held).values()
    assert (one.PatientID, str(one.PatientName)) == ("OLD", "MAIER^E")


@sqlite
async def test_each_instance_is_corrected_by_its_own_patient(start: Start, tmp_path: Path) -> None:
    """Two patients in one study, a number that two authorities gave, and a site that wants today's names."""
    held = tmp_path / "held"
    held.mkdir()
    overlay = site(tmp_path, {"corrections.yaml": "patient:\n  PatientName: patient.PatientName\n"})
    with storescp(held, "+xa") as port:
        sections = forwarding(tmp_path / "spool", to(port, corrections=["patient"]))
        async with start(**sections, mappings=MappingsSection(overlay=overlay)) as gateway:
            others = [adt("A04", control_id="2", patient=f"TWICE^^^{one}", name=f"{one}^X") for one in ("HOSP", "LAB")]
            await ordered(gateway, MERGE, *others)
            merged, same, twice, unknown = of_patient(4)
            same.PatientID, twice.PatientID, unknown.PatientID = "NEW", "TWICE", "NOBODY"
            await send(gateway, merged, same, twice, unknown)
            await quiet(gateway)
    files = received(held)
    named = [files[str(one.SOPInstanceUID)] for one in (merged, same, twice, unknown)]
    assert [(one.PatientID, str(one.PatientName)) for one in named] == [
        ("NEW", "MEIER^ERIKA"), ("NEW", "MEIER^ERIKA"), ("TWICE", "MAIER^E"), ("NOBODY", "MAIER^E"),
    ]  # fmt: skip


@sqlite
async def test_a_site_names_its_institutions(start: Start, tmp_path: Path) -> None:
    rows = "site:\n  StationName: {from: StationName, default: CT NORTH}\n  Modality: {default: CT}\n"
    table = "code,value\nNORTH HOSP.,Hospital North\n"
    overlay = site(tmp_path, {"corrections.yaml": rows, "tables/institution.csv": table})
    held = tmp_path / "held"
    held.mkdir()
    with storescp(held, "+xa") as port:
        sections = forwarding(tmp_path / "spool", to(port, corrections=["site"]))
        async with start(**sections, mappings=MappingsSection(overlay=overlay)) as gateway:
            await send(gateway, *of_patient(1, InstitutionName="North Hosp.", StationName=""))
            await quiet(gateway)
            assert await shown(gateway) == {"pacs": {"InstitutionName": 1, "StationName": 1}}
    [one] = received(held).values()
    assert (one.InstitutionName, one.StationName) == ("Hospital North", "CT NORTH")


@sqlite
async def test_what_cannot_be_corrected_waits_for_a_person(start: Start, tmp_path: Path) -> None:
    """Its header breaks between its corrections; an archive that wants none has the instance as it came."""
    [dataset] = of_patient(1)
    path = saved(dataset, tmp_path / "broken.dcm")
    other_held = tmp_path / "other"
    other_held.mkdir()
    path.write_bytes(path.read_bytes().replace(b"\x18\0\x60\0DS\4\0", b"\x18\0\x60\0DS\5\0"))
    held = tmp_path / "held"
    held.mkdir()
    with storescp(held, "+xa") as port, storescp(other_held, "+xa") as other:
        wanted = to(port, corrections=True), to(other, "other")
        async with start(**forwarding(tmp_path / "spool", *wanted)) as gateway:
            await ordered(gateway, MERGE)
            await send(gateway, path)
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert parked["kind"] == "store:pacs"
            assert "no value representation" in parked["outcome"]["error"]
            study = await gateway.store.read(lambda connection: studies_view.detail(connection, STUDY))
            assert study is not None
            [finding] = [one.text for one in study.findings if one.place == "(8800,4400)"]
            assert "the header is kept up to there, and from Study Instance UID on" in finding
    assert not list(held.iterdir())
    assert [data_set_of(one) for one in other_held.iterdir()] == [data_set_of(path)]
