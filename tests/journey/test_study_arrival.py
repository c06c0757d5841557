"""Station 5: what arrives by C-STORE is kept, or refused by name; the listener goes on."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.assembly.mappings import load_mappings
from gateway.assembly.studies import make_arrival
from gateway.clock import now
from gateway.config.dicom import Dicom
from gateway.config.order_checks import OrderChecks
from gateway.config.site import Site
from gateway.config.studies import Studies
from gateway.config.tree import MappingsSection
from gateway.operations import studies_view
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.order_check import CheckPolicy
from gateway.simulators.ehr import EhrSimulator
from gateway.store import outbox_listing, refusals, studies
from gateway.store.schema import instances
from gateway.wire.dimse import client
from gateway.wire.dimse.header import read_header
from gateway.wire.hl7.mllp_client import MllpClient
from tests.conftest import comes_true
from tests.journey.messages import apart, orm
from tests.journey.running import UNHURRIED, Start, config_of, quiet, sqlite
from tests.peers.dcmtk import findscu, storescu
from tests.pixels.samples import saved
from tests.wire.dimse.raw_peer import associated, pdu, pdv, store_rq


def sample() -> pydicom.Dataset:
    return pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))


async def send(gateway: app.Running, *datasets: pydicom.Dataset | Path) -> list[int]:
    stored = await client.store(
        "127.0.0.1", gateway.dicom_port, datasets, called_ae="GATEWAY", calling_ae="SCANNER", timeout=120
    )
    return [status for _uid, status in stored]


async def kept(gateway: app.Running) -> list[Any]:
    return list(await gateway.store.read(lambda c: c.execute(select(instances)).mappings().all()))


@sqlite
async def test_headers_are_kept_and_pixels_are_not(start: Start) -> None:
    dataset = sample()
    async with start() as gateway:
        assert await send(gateway, dataset) == [0]
        [row] = await kept(gateway)
        header = read_header(zlib.decompress(row["header"]), row["transfer_syntax_uid"])
        assert "PixelData" not in header
        assert header.PatientName == dataset.PatientName
        assert len(row["header"]) < len(dataset.PixelData)


@sqlite
async def test_files_of_many_kinds_and_transfer_syntaxes_are_taken(start: Start) -> None:
    """The rest of pydicom's files is walked in tests/wire/dimse/test_server.py."""
    paths = [Path(str(get_testdata_file(name))) for name in (
        "CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm",
        "image_dfl.dcm", "JPEG-lossy.dcm", "SC_rgb_rle.dcm", "reportsi.dcm", "waveform_ecg.dcm", "liver_1frame.dcm",
    )]  # fmt: skip
    async with start() as gateway:
        assert await send(gateway, *paths) == [0] * len(paths)
        uids = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths}
        assert {row["sop_uid"] for row in await kept(gateway)} == uids


async def test_the_same_instance_again_changes_nothing_a_changed_one_counts(start: Start) -> None:
    dataset = sample()
    async with start() as gateway:
        assert await send(gateway, dataset, dataset) == [0, 0]
        row = await gateway.store.read(lambda c: studies.get(c, dataset.StudyInstanceUID))
        assert row is not None
        assert row["revision"] == 1
        dataset.SeriesDescription = "corrected"
        await send(gateway, dataset)
        row = await gateway.store.read(lambda c: studies.get(c, dataset.StudyInstanceUID))
        assert row is not None
        assert row["revision"] == 2


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@sqlite
async def test_without_its_uids_an_instance_is_refused_and_kept_raw(start: Start, keyword: str) -> None:
    dataset = sample()
    delattr(dataset, keyword)
    async with start() as gateway:
        statuses = await send(gateway, dataset, sample())
        assert statuses == [0xA900, 0]
        [row] = await gateway.store.read(refusals.listing)
        assert keyword in row["reason"]
        assert row["bytes"] > 1000


@sqlite
async def test_an_instance_that_is_not_the_announced_one_is_refused(start: Start) -> None:
    """rtplan.dcm says one SOP Instance UID in its file meta information and another in its data set."""
    async with start() as gateway:
        assert await send(gateway, Path(str(get_testdata_file("rtplan.dcm")))) == [0xA900]
        [row] = await gateway.store.read(refusals.listing)
        assert "SOPInstanceUID" in row["reason"]


@sqlite
async def test_a_broken_header_is_refused_and_kept_raw(start: Start, tmp_path: Path) -> None:
    whole = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    broken = tmp_path / "broken.dcm"
    # The length of one element runs far past the end, and no Study Instance UID stands behind the element.
    at = whole.index(b"\x08\x00\x90\x00PN")
    rest = whole[at + 8 :].replace(b"\x20\x00\x0d\x00UI", b"\x20\x00\x0c\x00UI")
    broken.write_bytes(whole[: at + 6] + b"\xff\xff" + rest)
    async with start() as gateway:
        [status] = await send(gateway, broken)
        assert status == 0xC000
        [row] = await gateway.store.read(refusals.listing)
        assert row["reason"].startswith("C000")
        assert (await storescu(gateway.dicom_port, Path(str(get_testdata_file("CT_small.dcm"))))).returncode == 0


@sqlite
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
async def test_a_header_that_breaks_before_its_uids_costs_what_stands_between(
    start: Start, tmp_path: Path, syntax: UID
) -> None:
    """Neither Patient ID nor SOP Instance UID can be read; the request has the one, no part of it the other."""
    dataset = sample()
    path = saved(dataset, tmp_path / "broken.dcm", syntax)
    data = path.read_bytes()
    at = data.rindex(b"\x08\x00\x18\x00", 0, data.index(b"\x10\x00\x20\x00"))
    path.write_bytes(data[:at] + b"\x08\x00\x18\x00\x03" + data[at + 8 :])
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        assert await send(gateway, path) == [0]
        await quiet(gateway)
        study = await gateway.store.read(
            lambda connection: studies_view.detail(connection, StudyInstanceUID(dataset.StudyInstanceUID))
        )
    assert study is not None
    [one] = study.series
    assert [each.sop_uid for each in one.instances] == [dataset.SOPInstanceUID]
    assert (one.series_uid, study.patient_id) == (dataset.SeriesInstanceUID, "")
    assert any("the header is kept up to there, and from Study Instance UID on" in each.text for each in study.findings)


@sqlite
async def test_a_storage_class_that_the_site_names_is_kept_and_delivered(start: Start) -> None:
    """pynetdicom sends instances of two private classes; one of them is named."""
    named, other = sample(), sample()
    for dataset, uid in ((named, "1.3.12.2.1107.5.9.1"), (other, "1.3.12.2.1107.5.9.2")):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(uid)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{uid}.7")
    dicom = Dicom(port=0, storage_classes=["1.3.12.2.1107.5.9.1"])
    async with EhrSimulator() as ehr, start(ehr.url, dicom=dicom) as gateway:
        assert await send(gateway, named, other, sample()) == [0, 0x0122, 0]
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
    async with start(dicom=dicom) as gateway:
        # What was refused is kept when a gateway has ended.
        [row] = await gateway.store.read(refusals.listing)
        assert "1.3.12.2.1107.5.9.2" in row["reason"]
    classes = {one["sopClass"]["code"] for one in resource["series"][0]["instance"]}
    assert classes == {"urn:oid:1.3.12.2.1107.5.9.1", f"urn:oid:{sample().SOPClassUID}"}


@sqlite
async def test_unknown_sop_class_is_declined_and_the_association_goes_on(start: Start) -> None:
    async with start() as gateway:
        done = await findscu(gateway.dicom_port, "PatientID", options=("-S",))
        assert "No Acceptable Presentation Contexts" in done.output

        async def reasons() -> list[str]:
            return [row["reason"] for row in await gateway.store.read(refusals.listing)]

        kept = await comes_true(reasons)
        assert kept[0].startswith("context refused: presentation context for Study Root Query/Retrieve")
        assert (await findscu(gateway.dicom_port, "PatientID")).status.startswith("Success")


@sqlite
async def test_a_patient_id_without_issuer_is_the_sites_own(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, site=Site()) as gateway:
        await send(gateway, sample())
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
    assert resource["subject"]["identifier"]["value"] == sample().PatientID
    assert resource["subject"]["identifier"]["system"].startswith("urn:uuid:")


@sqlite
async def test_a_study_is_replayed_with_todays_mapping(start: Start, tmp_path: Path) -> None:
    """A site that wants the protocol name as series description adds a row; kept headers have what is needed."""
    overlay = tmp_path / "site"
    overlay.mkdir()
    (overlay / "study_to_imagingstudy.yaml").write_text(
        "series:\n  description: ManufacturerModelName\n", encoding="utf-8"
    )
    dataset = sample()
    async with EhrSimulator() as ehr:
        async with start(ehr.url) as gateway:
            await send(gateway, dataset)
            await quiet(gateway)
            [before] = ehr.resources("ImagingStudy")
        async with start(ehr.url, mappings=MappingsSection(overlay=overlay)) as gateway:
            config = config_of("sqlite:///unused.db", ehr.url, mappings=MappingsSection(overlay=overlay))
            arrival = make_arrival(config, gateway.store, load_mappings(config), now)
            assert await arrival.replay(StudyInstanceUID(str(dataset.StudyInstanceUID))) == 1
            await quiet(gateway)
            [after] = ehr.resources("ImagingStudy")
    assert after["id"] == before["id"]
    assert after["series"][0]["description"] == dataset.ManufacturerModelName
    assert after["series"][0]["description"] != before["series"][0].get("description")


async def test_instances_of_two_patients_are_parked_until_they_are_corrected(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url, studies=UNHURRIED) as gateway:
        first, second = sample(), sample()
        second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.2")
        second.PatientID, second.AccessionNumber = "SOMEONE-ELSE", "ACC9"
        await send(gateway, first, second)
        await quiet(gateway)
        assert ehr.resources("ImagingStudy") == []
        [parked] = await gateway.store.read(lambda c: outbox_listing.listing(c, states=("parked",)))
        assert "2 patients" in parked["outcome"]["error"]
        second.PatientID = first.PatientID
        await send(gateway, second)
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == first.PatientID
        assert resource["numberOfInstances"] == 2
        assert await gateway.store.read(lambda c: outbox_listing.listing(c, states=("parked",))) == []


@sqlite
async def test_an_instance_sent_again_corrects_its_study(start: Start) -> None:
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        dataset = sample()
        right = dataset.PatientID
        dataset.PatientID = "WRONG"
        await send(gateway, dataset)
        await quiet(gateway)
        dataset.PatientID = right
        await send(gateway, dataset)
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["subject"]["identifier"]["value"] == right


WARNING = Studies(quiet_seconds=0.3, order_checks=OrderChecks(patient_id=CheckPolicy.WARN))
"""A study is delivered although the order with its number is another patient's."""


OWN_ORDERS = {
    (by, patient): patient in ("ME{}^^^HOSP", "ME{}")
    for by in ("study_uid", "accession")
    for patient in ("ME{}^^^HOSP", "ME{}", "ME{}^^^OTHER", "PAT{}^^^HOSP")
}
"""How order and study are one, and whose the order is; whether the study of patient ME of HOSP is linked."""


def study_of(number: int) -> pydicom.Dataset:
    """A study of its own, of a patient of its own, with the accession number `A<number>`."""
    dataset = sample()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(f"1.2.50.{number}"), UID(f"1.2.50.{number}.1")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.50.{number}.1.1")
    dataset.PatientID, dataset.IssuerOfPatientID, dataset.AccessionNumber = f"ME{number}", "HOSP", f"A{number}"
    return dataset


async def based_on(start: Start, pairs: Sequence[tuple[bytes, pydicom.Dataset]]) -> list[set[str]]:
    """The accession numbers that each study is based on; the orders come first."""
    async with EhrSimulator() as ehr, start(ehr.url, studies=WARNING) as gateway:
        async with MllpClient("127.0.0.1", gateway.hl7_ports["ris"], timeout=120) as ris:
            for order, _ in pairs:
                assert b"MSA|AA" in await ris.send(order)
        await send(gateway, *(study for _, study in pairs))
        await quiet(gateway)
        held = {value["value"]: one for one in ehr.resources("ImagingStudy") for value in one["identifier"]}
    resources = [held[f"urn:oid:{study.StudyInstanceUID}"] for _, study in pairs]
    return [{one["identifier"]["value"] for one in resource.get("basedOn", [])} for resource in resources]


@sqlite
async def test_a_study_is_linked_to_its_own_patient_s_order_alone(start: Start) -> None:
    pairs, numbers = [], []
    for number, (by, patient) in enumerate(OWN_ORDERS):
        study = study_of(number)
        common = {"study_uid": str(study.StudyInstanceUID)} if by == "study_uid" else {"accession": f"A{number}"}
        order = orm(control_id=f"M{number}", patient=patient.format(number), **{"study_uid": "1.2.3.4.5"} | common)
        pairs.append((apart(order, number), study))
        numbers.append(f"ACC1X{number}" if by == "study_uid" else f"A{number}")
    found = await based_on(start, pairs)
    linked = [number in named for number, named in zip(numbers, found, strict=True)]
    assert dict(zip(OWN_ORDERS, linked, strict=True)) == OWN_ORDERS


@sqlite
async def test_a_number_that_another_authority_gave_is_no_other_patient_s(start: Start) -> None:
    """Another patient's order has the accession number, given by HOSP; the header says who gave its own."""
    issuers = {"": False, "HOSP": False, "ELSEWHERE": True}
    pairs = []
    for number, issuer in enumerate(issuers):
        study = study_of(number)
        if issuer:
            item = pydicom.Dataset()
            item.LocalNamespaceEntityID = issuer
            study.IssuerOfAccessionNumberSequence = [item]
        pairs.append((apart(orm(control_id=f"M{number}", accession=f"A{number}"), number), study))
    named = [bool(one) for one in await based_on(start, pairs)]
    assert dict(zip(issuers, named, strict=True)) == issuers


@sqlite
async def test_a_replay_keeps_what_an_instance_corrected(start: Start, database_url: str) -> None:
    first, second = sample(), sample()
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.2")
    first.StudyDescription, second.StudyDescription = "Wrong", "Another"
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, first, second)
        first.StudyDescription = "Right"
        await send(gateway, first)
        config = config_of(database_url, ehr.url)
        arrival = make_arrival(config, gateway.store, load_mappings(config), now)
        assert await arrival.replay(StudyInstanceUID(str(first.StudyInstanceUID))) == 2
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["description"] == "Right"


@sqlite
async def test_an_instance_whose_header_broke_before_its_uid_keeps_the_uid_when_read_again(
    start: Start, database_url: str
) -> None:
    uids = struct.pack("<HH2sH6sHH2sH8s", 0x20, 0x0D, b"UI", 6, b"1.2.71", 0x20, 0x0E, b"UI", 8, b"1.2.71.1")
    broken = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + b"\x08\0\x08\0??\x99\0"
    async with start() as gateway, associated(gateway.dicom_port) as peer:
        message = pdu(0x04, pdv(5, 0x03, store_rq(instance="1.2.71.1.1"))) + pdu(0x04, pdv(5, 0x02, broken + uids))
        peer.send(message)
        assert await peer.status() == (1, 0)
        [first] = await kept(gateway)
        config = config_of(database_url)
        arrival = make_arrival(config, gateway.store, load_mappings(config), now)
        assert await arrival.replay(StudyInstanceUID("1.2.71")) == 1
        [again] = await kept(gateway)
    assert again["attributes"] == first["attributes"]
    assert again["attributes"] == {"SOPInstanceUID": "1.2.71.1.1", "SOPClassUID": again["sop_class_uid"]}


async def test_nul_bytes_in_text_do_not_keep_an_instance_out(start: Start) -> None:
    """PostgreSQL holds no NUL, neither in text nor in JSON."""
    dataset = sample()
    dataset.PatientID, dataset.AccessionNumber, dataset.StudyDescription = "PAT\0 1", "ACC\0", "CT\0 of chest"
    dataset.OperatorsName = ["Doe^Jane\0", "Roe\0^Jo"]
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        assert await send(gateway, dataset) == [0]
        await quiet(gateway)
        [resource] = ehr.resources("ImagingStudy")
        assert resource["description"] == "CT of chest"
        assert resource["subject"]["identifier"]["value"] == "PAT 1"


@sqlite
async def test_a_series_sent_again_corrected_is_corrected(start: Start) -> None:
    """Of a series the instance of the lowest UID counts, also when another is sent again."""
    first, second = sample(), sample()
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.2")
    first.SeriesDescription = second.SeriesDescription = "LEFT knee"
    async with EhrSimulator() as ehr, start(ehr.url) as gateway:
        await send(gateway, first, second)
        second.SeriesDescription = "another's word"
        await send(gateway, second)
        await quiet(gateway)
        assert [one["series"][0]["description"] for one in ehr.resources("ImagingStudy")] == ["LEFT knee"]
        first.SeriesDescription = "RIGHT knee"
        await send(gateway, first)
        await quiet(gateway)
        assert [one["series"][0]["description"] for one in ehr.resources("ImagingStudy")] == ["RIGHT knee"]


async def test_a_replay_overlooks_nothing_that_arrives_meanwhile(
    start: Start, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, late = sample(), sample()
    late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = UID(f"{first.SOPInstanceUID}.2")
    async with start() as gateway:
        await send(gateway, first)
        arrival = make_arrival(config_of(database_url), gateway.store, load_mappings(config_of(database_url)), now)
        loop, read_again = asyncio.get_running_loop(), arrival._reader.read_again
        arrived: list[list[int]] = []

        def meanwhile(headers: Any) -> Any:
            if not arrived:
                arrived.append(asyncio.run_coroutine_threadsafe(send(gateway, late), loop).result())
            return read_again(headers)

        monkeypatch.setattr(arrival._reader, "read_again", meanwhile)
        assert await arrival.replay(StudyInstanceUID(str(first.StudyInstanceUID))) == 2
        assert arrived == [[0]]
