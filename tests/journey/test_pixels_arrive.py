"""Station study_arrival where pixels are kept: files of the spool by real clients, their rows, and no file too many."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from functools import partial
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from sqlalchemy import text

from gateway.assembly import process as app
from gateway.clock import now
from gateway.config.studies import SpoolSection, Studies
from gateway.journey.study_arrival.spool_keeping import delete_released
from gateway.observe import metrics
from gateway.operations.erase import Erasure, plan
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.patient import Identity
from gateway.records.pixel_file import PixelFile
from gateway.spool import Spool
from gateway.store import pixel_files, studies
from gateway.store.engine import sqlite_file
from gateway.wire.dimse import client
from gateway.wire.dimse.data_set import MEMORY_BYTES
from tests.conftest import until
from tests.journey.running import Start, quiet, sqlite
from tests.peers.dcmtk import storescu
from tests.wire.dimse import raw_peer as raw

FILES = tuple(
    Path(str(get_testdata_file(name)))
    for name in ("CT_small.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "image_dfl.dcm")
)
CT = FILES[0]


def forward(folder: Path, quota_gb: float | None = None) -> Studies:
    section = SpoolSection(folder=folder / "spool", free_gb=0.0, quota_gb=quota_gb)
    return Studies(quiet_seconds=0.3, storage="forward", spool=section)


def sample(sop_uid: str = "") -> pydicom.Dataset:
    dataset = pydicom.dcmread(CT)
    if sop_uid:
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(sop_uid)
    return dataset


def large(sop_uid: str = "") -> pydicom.Dataset:
    """Of three times what is kept in memory."""
    dataset = sample(sop_uid)
    dataset.NumberOfFrames = 3 * MEMORY_BYTES // len(dataset.PixelData) + 1
    dataset.PixelData = dataset.PixelData * int(dataset.NumberOfFrames)
    return dataset


async def send(gateway: app.Running, *datasets: pydicom.Dataset | Path) -> list[int]:
    stored = await client.store(
        "127.0.0.1", gateway.dicom_port, datasets, called_ae="GATEWAY", calling_ae="SCANNER", timeout=120
    )
    return [status for _uid, status in stored]


async def kept(gateway: app.Running, study_uid: str) -> list[PixelFile]:
    row = await gateway.store.read(lambda connection: studies.get(connection, StudyInstanceUID(study_uid)))
    assert row is not None
    return await gateway.store.read(lambda connection: pixel_files.of_study(connection, row["id"], 0, 100))


def files(folder: Path) -> list[Path]:
    return sorted(one for one in (folder / "spool").rglob("*") if one.is_file())


def content(path: Path) -> bytes:
    """The data set of a Part 10 file."""
    meta = pydicom.filereader.read_file_meta_info(path)
    return path.read_bytes()[144 + int(meta.FileMetaInformationGroupLength) :]


def encoded(dataset: pydicom.Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def message(data: bytes, instance: str, *, is_whole: bool = True) -> bytes:
    """A C-STORE-RQ of a CT instance in pieces."""
    parts = [raw.pdv(5, 3, raw.store_rq(instance=instance))]
    parts += [raw.pdv(5, 0, data[at : at + 100_000]) for at in range(0, len(data), 100_000)]
    parts += [raw.pdv(5, 2, b"")] if is_whole else []
    return b"".join(raw.pdu(0x04, one) for one in parts)


@sqlite
async def test_files_of_many_transfer_syntaxes_are_kept_whole(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path)) as gateway:
        assert await send(gateway, *FILES) == [0] * len(FILES)
        for path in FILES:
            sent = pydicom.dcmread(path)
            rows = await kept(gateway, sent.StudyInstanceUID)
            [row] = [one for one in rows if one.sop_uid == sent.SOPInstanceUID]
            file = tmp_path / "spool" / row.file
            read = pydicom.dcmread(file)
            assert (read.file_meta.TransferSyntaxUID, read.PixelData) == (row.transfer_syntax_uid, sent.PixelData)
            assert row.transfer_syntax_uid == sent.file_meta.TransferSyntaxUID
            assert (row.size, row.sha256) == (file.stat().st_size, hashlib.sha256(content(file)).digest())
        assert {stat.S_IMODE(one.stat().st_mode) for one in files(tmp_path)} == {0o600}
        assert len(files(tmp_path)) == len(FILES)


@sqlite
async def test_dcmtk_stores_short_and_long_instances(start: Start, tmp_path: Path) -> None:
    paths = [tmp_path / "short.dcm", tmp_path / "long.dcm"]
    datasets = [sample("2.25.1"), large("2.25.2")]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path)
    async with start(studies=forward(tmp_path)) as gateway:
        sent = await storescu(gateway.dicom_port, *paths)
        assert sent.returncode == 0, sent.stderr
        rows = {row.sop_uid: row for row in await kept(gateway, datasets[0].StudyInstanceUID)}
        for dataset in datasets:
            read = pydicom.dcmread(tmp_path / "spool" / rows[dataset.SOPInstanceUID].file)
            assert (read.PatientName, read.PixelData) == (dataset.PatientName, dataset.PixelData)
        assert metrics.REGISTRY.get_sample_value("gateway_spool_files") == 2
        used = sum(one.stat().st_size for one in files(tmp_path))
        assert metrics.REGISTRY.get_sample_value("gateway_spool_bytes") == used


@sqlite
async def test_a_data_set_is_kept_as_it_came(start: Start, tmp_path: Path) -> None:
    dataset = large()
    for data in (encoded(sample()) + bytes(20), encoded(dataset)):
        async with start(studies=forward(tmp_path)) as gateway, raw.associated(gateway.dicom_port) as peer:
            peer.send(message(data, dataset.SOPInstanceUID))
            assert await peer.status() == (1, 0)
            [row] = await kept(gateway, dataset.StudyInstanceUID)
            assert content(tmp_path / "spool" / row.file) == data
            assert row.sha256 == hashlib.sha256(data).digest()


async def test_the_newest_content_counts_and_nothing_else_stays(start: Start, tmp_path: Path) -> None:
    dataset = sample()
    async with start(studies=forward(tmp_path)) as gateway:
        assert await send(gateway, dataset) == [0]
        [first] = await kept(gateway, dataset.StudyInstanceUID)
        assert await send(gateway, dataset) == [0]
        await until(lambda: len(files(tmp_path)) == 1, what="the removal of the second file")
        [again] = await kept(gateway, dataset.StudyInstanceUID)
        assert again == first

        dataset.PixelData = dataset.PixelData[::-1]
        assert await send(gateway, dataset) == [0]
        await until(lambda: len(files(tmp_path)) == 1, what="the removal of the first file")
        [other] = await kept(gateway, dataset.StudyInstanceUID)
        assert (other.id, other.sha256 != first.sha256) == (first.id, True)
        assert pydicom.dcmread(tmp_path / "spool" / other.file).PixelData == dataset.PixelData

        dataset.PatientName = "Corrected^Name"
        assert await send(gateway, dataset) == [0]
        await until(lambda: len(files(tmp_path)) == 1, what="the removal of the second content")
        [corrected] = await kept(gateway, dataset.StudyInstanceUID)
        assert pydicom.dcmread(tmp_path / "spool" / corrected.file).PatientName == "Corrected^Name"


@pytest.mark.parametrize("make", [sample, large])
@sqlite
async def test_an_instance_that_is_refused_leaves_no_file(start: Start, tmp_path: Path, make: type) -> None:
    dataset = make()
    del dataset.StudyInstanceUID
    async with start(studies=forward(tmp_path)) as gateway:
        assert await send(gateway, dataset) == [0xA900]
        await until(lambda: not files(tmp_path), what="the removal of the file")
        counted = partial(metrics.REGISTRY.get_sample_value, "gateway_spool_bytes")
        await until(lambda: counted() == 0, what="its room")


@pytest.mark.parametrize("make", [sample, large])
@sqlite
async def test_an_instance_without_a_row_leaves_no_file(start: Start, tmp_path: Path, make: type) -> None:
    """Senders try again and again: what each try left would fill the disk."""
    refusing = "CREATE TRIGGER refusing BEFORE INSERT ON pixel_files BEGIN SELECT RAISE(ABORT, 'no'); END"
    async with start(studies=forward(tmp_path)) as gateway:
        await gateway.store.write(lambda connection: connection.execute(text(refusing)))
        [status] = await send(gateway, make())
        assert status != 0
        await until(lambda: not files(tmp_path), what="the removal of the file")
        counted = partial(metrics.REGISTRY.get_sample_value, "gateway_spool_bytes")
        await until(lambda: counted() == 0, what="its room")


@sqlite
async def test_an_association_that_ends_amid_an_instance_leaves_no_file(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path)) as gateway:
        async with raw.associated(gateway.dicom_port) as peer:
            peer.send(message(encoded(large()), "1.2.3", is_whole=False))
            await until(lambda: files(tmp_path), what="the file of an instance that still arrives")
        await until(lambda: not files(tmp_path), what="the removal of the file")


@sqlite
async def test_instances_are_refused_before_the_quota_is_passed_and_taken_when_there_is_room(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    datasets = [sample(f"2.25.{number}") for number in range(1, 4)]
    size = 2.5 * CT.stat().st_size
    async with start(studies=forward(tmp_path, quota_gb=size / 1e9)) as gateway:
        assert await send(gateway, *datasets, large("2.25.9")) == [0, 0, 0xA700, 0xA700]
        assert "studies.spool.quota_gb" in caplog.text
        assert sum(one.stat().st_size for one in files(tmp_path)) <= size
        first, _ = await kept(gateway, datasets[0].StudyInstanceUID)
        await gateway.store.write(lambda connection: pixel_files.mark_removed(connection, [first.id], 1))
        await until(lambda: len(files(tmp_path)) == 1, what="the removal of the file")
        counted = partial(metrics.REGISTRY.get_sample_value, "gateway_spool_bytes")
        [left] = files(tmp_path)
        await until(lambda: counted() == left.stat().st_size, what="its room")
        assert await send(gateway, datasets[2]) == [0]


@sqlite
async def test_of_a_broken_header_the_whole_file_is_kept(start: Start, tmp_path: Path) -> None:
    """What stands behind the fault is no reader's here, and may be some archive's."""
    dataset = sample()
    data = encoded(dataset)
    at = data.index(b"\x28\x00\x10\x00US")
    broken = data[:at] + b"\x28\x00\x00\x10SQ\x00\x00\x04\x00\x00\x00abcd" + data[at:]
    async with start(studies=forward(tmp_path)) as gateway, raw.associated(gateway.dicom_port) as peer:
        peer.send(message(broken, dataset.SOPInstanceUID))
        assert await peer.status() == (1, 0)
        [row] = await kept(gateway, dataset.StudyInstanceUID)
        assert content(tmp_path / "spool" / row.file) == broken


@sqlite
async def test_many_associations_at_once_lose_nothing(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path)) as gateway:
        some = [[sample(f"2.25.{scanner}{number:03}") for number in range(8)] for scanner in range(1, 7)]
        statuses = await asyncio.gather(*(send(gateway, *datasets) for datasets in some))
        assert [status for one in statuses for status in one] == [0] * 48
        assert len(files(tmp_path)) == 48
        assert len(await kept(gateway, some[0][0].StudyInstanceUID)) == 48


@sqlite
async def test_an_erased_patient_has_no_file_left(start: Start, database_url: str, tmp_path: Path) -> None:
    other, erased = sample("2.25.1"), sample("2.25.2")
    other.StudyInstanceUID, other.PatientID = "1.2.840.1", "ANOTHER"
    async with start(studies=forward(tmp_path)) as gateway:
        assert await send(gateway, other, erased) == [0, 0]
        await quiet(gateway)
        planned = await plan(gateway.store, Identity(erased.PatientID, ""))
        assert planned.deleted["pixel_files"] == 1
        assert len(files(tmp_path)) == 2, "a plan deletes nothing"
        spool = Spool(tmp_path / "spool", None, 0, implementation_uid="1.2.3", version_name="ERASE")
        delete_files = partial(delete_released, gateway.store, spool)
        file = sqlite_file(database_url)
        erasure = Erasure(gateway.store, planned.targets, "me", "wish", now, file=file, delete_files=delete_files)
        await erasure.run()
        [left] = files(tmp_path)
        assert pydicom.dcmread(left).PatientID == "ANOTHER"
