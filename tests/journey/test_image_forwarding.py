"""Instances at archives: each gets what the site sends it, whatever it does meanwhile; then files leave the spool."""

from __future__ import annotations

import copy
import json
import os
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import select

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.destinations import DestinationRetry
from gateway.config.dicom import Dicom
from gateway.config.dicom_destinations import DicomDestination
from gateway.config.studies import SpoolSection, Studies
from gateway.journey.image_forwarding.removal import ImageRemoval
from gateway.journey.image_forwarding.scratch import SENDING
from gateway.journey.image_forwarding.station import MOST_LOSSES
from gateway.operations import studies_view
from gateway.operations.parked import parked_work
from gateway.operations.receivers import pause_all, resume
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.receiver import Receiver, ReceiverType
from gateway.store import outbox_listing
from gateway.store.schema import audit, outbox, pixel_files
from gateway.wire.dimse import client
from tests.conftest import comes_true, until
from tests.journey.running import Start, quiet, sqlite
from tests.peers.dcmtk import storescp
from tests.peers.orthanc import Orthanc
from tests.peers.pynetdicom_store import refusal, storage_scp

STUDY = StudyInstanceUID("1.2.826.0.1.3680043.8.498.18")
CT = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
del CT.DataSetTrailingPadding


def instances(number: int, *, first: int = 1, fill: int = 0) -> list[pydicom.Dataset | Path]:
    """Instances of one study; `fill` is in every pixel."""
    made: list[pydicom.Dataset | Path] = []
    for one in range(first, first + number):
        dataset = copy.deepcopy(CT)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{STUDY}.1"
        dataset.SOPInstanceUID, dataset.InstanceNumber = f"{STUDY}.1.{one}", one
        dataset.PixelData = bytes([fill]) * len(CT.PixelData)
        made.append(dataset)
    return made


def to(port: int, name: str = "pacs", **values: Any) -> DicomDestination:
    return DicomDestination(
        **{
            "name": name, "ae_title": "ARCHIVE", "port": port, "store": True, "timeout_seconds": 60,
            "retry": DestinationRetry(first_seconds=0.05, max_seconds=0.1), **values,
        }
    )  # fmt: skip


def forwarding(spool: Path, *destinations: DicomDestination, keep_hours: float = 24.0) -> dict[str, Any]:
    section = SpoolSection(folder=spool, free_gb=0, keep_hours=keep_hours)
    studies = Studies(quiet_seconds=0.3, storage="forward", spool=section)
    return {"dicom": Dicom(port=0, destinations=list(destinations)), "studies": studies}


async def send(gateway: app.Running, *datasets: pydicom.Dataset | Path, calling_ae: str = "CT1") -> None:
    stored = await client.store(
        "127.0.0.1", gateway.dicom_port, datasets, called_ae="GATEWAY", calling_ae=calling_ae, timeout=120
    )
    assert {status for _uid, status in stored} == {0}


async def images(gateway: app.Running) -> list[dict[str, Any]]:
    """What the study's page shows of its destinations."""
    study = await gateway.store.read(lambda connection: studies_view.detail(connection, STUDY))
    assert study is not None
    return [one.model_dump(exclude={"last_at", "corrected"}) for one in study.images]


def standing(destination: str = "pacs", **numbers: int) -> dict[str, Any]:
    return {"destination": destination, "sent": 0, "waiting": 0, "failed": 0, "given_up": 0, **numbers}


async def stand(gateway: app.Running, *wanted: dict[str, Any]) -> None:
    """Wait until the instances stand so."""
    await comes_true(lambda: images(gateway), lambda found: found == list(wanted))


def data_set_of(path: Path) -> bytes:
    """Behind the File Meta Information."""
    raw = path.read_bytes()
    return raw[144 + int.from_bytes(raw[140:144], "little") :]


@sqlite
async def test_archives_get_the_data_sets_that_arrived(start: Start, orthanc: Orthanc, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.mkdir()
    files = [Path(str(get_testdata_file(one))) for one in ("JPEG2000.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")]
    with storescp(held, "+xa") as port:
        first, second = to(port, "storescp"), to(orthanc.dicom_port, "orthanc", ae_title="ORTHANC", associations=2)
        async with start(**forwarding(tmp_path / "spool", first, second)) as gateway:
            await send(gateway, *instances(5), *files)
            await quiet(gateway)
            assert await images(gateway) == [standing("orthanc", sent=5), standing("storescp", sent=5)]
            page = await gateway.store.read(lambda c: c.execute(select(pixel_files)).all())
    spooled = {data_set_of(tmp_path / "spool" / row.file) for row in page}
    # storescp gets a byte more of what was deflated to an odd length.
    assert {data_set_of(one)[: len(data_set_of(one)) // 2 * 2] for one in held.iterdir()} == {
        one + b"\0" * (len(one) % 2) for one in spooled
    }
    assert (await orthanc.statistics()).instances == 8


@sqlite
async def test_an_archive_that_is_down_holds_no_other_and_gets_all(start: Start, tmp_path: Path) -> None:
    port = free_port()
    with storage_scp() as up:
        async with start(**forwarding(tmp_path, to(port, "down"), to(up.port, "up"))) as gateway:
            await send(gateway, *instances(20))
            await stand(gateway, standing("down", waiting=20), standing("up", sent=20))
            with storage_scp(port) as down:
                await quiet(gateway)
            assert await images(gateway) == [standing("down", sent=20), standing("up", sent=20)]
    assert down.data_sets == up.data_sets
    assert up.associations == 1


@sqlite
async def test_what_answers_lead_to(start: Start, tmp_path: Path) -> None:
    answers: list[int | pydicom.Dataset] = [0xA700, 0xB000, refusal(0xA900, "another patient"), 0x0110, 0x0111]
    with storage_scp() as scp:
        scp.answers = {f"{STUDY}.1.{number}": [answer] for number, answer in enumerate(answers, 1)}
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            await send(gateway, *instances(5))
            await quiet(gateway)
            assert await images(gateway) == [standing(sent=4, failed=1)]
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert parked["outcome"]["error"] == "C-STORE status A900 another patient"
            assert parked["subject"] == f"{STUDY}.1.3"
            notes = await gateway.store.read(
                lambda c: c.execute(select(outbox).where(outbox.c.kind == "store:pacs").order_by(outbox.c.id)).all()
            )
            assert [one.outcome.get("note") for one in notes] == [
                None, "coercion of data elements", None, None, "the destination had it already"
            ]  # fmt: skip
            again = partial(outbox_listing.replay, ids=[parked["id"]], now=now())
            await gateway.store.write(again)
            await quiet(gateway)
            assert await images(gateway) == [standing(sent=5)]
    uids = [uid.rpartition(".")[2] for uid, _ in scp.came]
    assert {one: uids.count(one) for one in uids} == {"1": 2, "2": 1, "3": 2, "4": 2, "5": 1}


@sqlite
async def test_each_destination_gets_what_its_rule_says(start: Start, tmp_path: Path) -> None:
    with storage_scp() as all_, storage_scp() as scanner, storage_scp() as mr, storage_scp() as classes:
        destinations = (
            to(all_.port, "all", priority="high"),
            to(scanner.port, "scanner", calling_aes=["CT2"]),
            to(mr.port, "mr", modalities=["MR"]),
            to(classes.port, "classes", modalities=["CT"], sop_classes=[CT.SOPClassUID]),
        )
        async with start(**forwarding(tmp_path, *destinations)) as gateway:
            await send(gateway, *instances(2))
            await send(gateway, *instances(1, first=3), calling_ae="CT2")
            await quiet(gateway)
    assert [len(one.data_sets) for one in (all_, scanner, mr, classes)] == [3, 1, 0, 3]
    assert (set(all_.priorities), set(classes.priorities)) == ({1}, {0})


@sqlite
async def test_an_instance_that_ends_each_association_waits_for_a_person(start: Start, tmp_path: Path) -> None:
    """Not while the archive may be down, for all that can be seen: as soon as it takes others."""
    with storage_scp() as scp:
        scp.aborts = {f"{STUDY}.1.1"}
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            await send(gateway, *instances(3))
            await until(lambda: len(scp.came) >= MOST_LOSSES + 2)
            await stand(gateway, standing(sent=2, waiting=1))
            await send(gateway, *instances(1, first=4))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert parked["subject"] == f"{STUDY}.1.1"
    assert "aborted by the DICOM UL service-user" in parked["outcome"]["error"]


@sqlite
async def test_a_class_that_is_not_taken_waits_for_a_person_and_holds_no_other(start: Start, tmp_path: Path) -> None:
    with storage_scp(classes=[CT.SOPClassUID]) as scp:
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            await send(gateway, Path(str(get_testdata_file("MR_small_implicit.dcm"))), *instances(3))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
    assert parked["outcome"]["error"] == "the SOP Class is not accepted"
    assert len(scp.data_sets) == 3


@sqlite
async def test_what_is_not_taken_as_it_is_goes_without_compression(start: Start, tmp_path: Path) -> None:
    files = [Path(str(get_testdata_file(one))) for one in ("JPEG2000.dcm", "image_dfl.dcm", "MR_small_bigendian.dcm")]
    syntaxes = {"implicit": ImplicitVRLittleEndian, "explicit": ExplicitVRLittleEndian}
    with (
        storage_scp(syntaxes=[syntaxes["implicit"]]) as implicit,
        storage_scp(syntaxes=[syntaxes["explicit"]]) as other,
    ):
        scps = {"implicit": implicit, "explicit": other}
        async with start(**forwarding(tmp_path, *(to(scp.port, name) for name, scp in scps.items()))) as gateway:
            await send(gateway, *instances(1), *files)
            await quiet(gateway)
            rows = await gateway.store.read(lambda c: c.execute(select(outbox.c.kind, outbox.c.outcome)).all())
    for name, scp in scps.items():
        assert len(scp.data_sets) == 4
        assert {one for one, _ in scp.data_sets.values()} == {syntaxes[name]}
        notes = [row.outcome.get("note", "") for row in rows if row.kind == f"store:{name}"]
        assert notes.count("sent without compression") == (4 if name == "implicit" else 3)
        for path in files:
            made = pydicom.dcmread(path)
            _, data = scp.data_sets[made.SOPInstanceUID]
            got = pydicom.filereader.read_dataset(BytesIO(data), name == "implicit", True)
            assert got.PatientName == made.PatientName
            frames = made.get("NumberOfFrames", 1)
            assert len(got.PixelData) >= made.Rows * made.Columns * made.BitsAllocated // 8 * frames
    assert not list(tmp_path.glob("sending-*"))


@sqlite
async def test_an_instance_that_comes_again_with_other_pixels_goes_again(start: Start, tmp_path: Path) -> None:
    with storage_scp() as scp:
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            for fill in (1, 1, 2):
                await send(gateway, *instances(1, fill=fill))
                await quiet(gateway)
            assert await images(gateway) == [standing(sent=1)]
    assert len(scp.came) == 2
    [(_, data)] = scp.data_sets.values()
    assert data.endswith(bytes([2]) * 100)


@sqlite
async def test_a_destination_is_paused_and_resumed(start: Start, tmp_path: Path) -> None:
    with storage_scp() as scp:
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            receivers = [Receiver("pacs", ReceiverType.DICOM)]
            await gateway.store.write(partial(pause_all, receivers=receivers, person="op", now=now()))
            await send(gateway, *instances(2))
            assert await images(gateway) == [standing(waiting=2)]
            await gateway.store.write(partial(resume, receivers=receivers, names=["pacs"]))
            await quiet(gateway)
    assert len(scp.came) == 2


async def remove(gateway: app.Running, hours: float = 0.0) -> int:
    return await ImageRemoval(gateway.store, Path(), hours, now).remove()


async def test_a_file_leaves_the_spool_when_every_destination_has_it(start: Start, tmp_path: Path) -> None:
    port = free_port()
    with storage_scp() as up:
        async with start(**forwarding(tmp_path, to(port, "down"), to(up.port, "up"))) as gateway:
            await send(gateway, *instances(3))
            await stand(gateway, standing("down", waiting=3), standing("up", sent=3))
            assert await remove(gateway) == 0
            with storage_scp(port) as down:
                down.answers = {f"{STUDY}.1.2": [0xA900]}
                await quiet(gateway)
            assert await remove(gateway, hours=1.0) == 0
            assert await remove(gateway) == 2
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            [row] = await gateway.store.read(
                lambda c: c.execute(select(pixel_files).where(pixel_files.c.removed_at.is_(None))).all()
            )
            await until(lambda: len(list(tmp_path.glob("*/*/*.dcm"))) == 1)
            assert [one.relative_to(tmp_path).as_posix() for one in tmp_path.glob("*/*/*.dcm")] == [row.file]
            assert parked["subject"] == f"{STUDY}.1.2"


@sqlite
async def test_the_audit_trail_has_what_went_and_where(start: Start, tmp_path: Path) -> None:
    with storage_scp() as scp:
        async with start(**forwarding(tmp_path, to(scp.port))) as gateway:
            await send(gateway, *instances(3))
            await quiet(gateway)
    async with start(**forwarding(tmp_path)) as gateway:  # events are chained when it ends, if not before
        began = await gateway.store.read(lambda c: c.execute(select(audit.c.event)).scalars().all())
    sent = [one for one in began if '"pacs"' in one]
    assert [json.loads(one)["kind"] for one in sent] == ["beginning transfer", "instances transferred"]
    assert [json.loads(one)["note"] for one in sent] == ["", "3 instances"]
    assert all(STUDY in one for one in sent)


@sqlite
async def test_what_a_killed_gateway_left_in_the_spool_goes(start: Start, tmp_path: Path) -> None:
    old, new = tmp_path / f"{SENDING}old", tmp_path / f"{SENDING}new"
    for one in (old, new):
        one.mkdir()
        (one / "instance.dcm").touch()
    os.utime(old, (0, 0))
    async with start(**forwarding(tmp_path)):
        await until(lambda: not old.exists())
    assert new.exists()
