"""Files of the spool: what they hold, who may read them, how many bytes they may take together."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from gateway.errors import ConfigError, Unavailable
from gateway.spool import Spool, SpoolFile

PATIENT = b"\x10\x00\x20\x00LO\x04\x00P001"
LARGE = 10**15


def spool_of(folder: Path, *, quota: int | None = None, free: int = 0) -> Spool:
    spool = Spool(folder / "spool", quota, free, implementation_uid="1.2.3", version_name="GATEWAY")
    spool.prepare()
    return spool


def begun(spool: Spool, instance: str = "1.2.3.4") -> SpoolFile:
    return spool.begin(CTImageStorage, instance, ExplicitVRLittleEndian)


def files(spool: Spool) -> list[Path]:
    return [one for one in spool.folder.rglob("*") if one.is_file()]


def test_a_file_is_what_came_behind_file_meta_information(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    file = begun(spool)
    for part in (PATIENT[:5], PATIENT[5:]):
        file.write(part)
    file.sync()
    file.keep()
    file.close()
    [path] = files(spool)
    stored = file.stored
    assert path == spool.path_of(stored.file)
    read = dcmread(path)
    assert (read.PatientID, read.file_meta.MediaStorageSOPInstanceUID) == ("P001", "1.2.3.4")
    assert (read.file_meta.MediaStorageSOPClassUID, read.file_meta.TransferSyntaxUID) == (
        CTImageStorage, ExplicitVRLittleEndian,
    )  # fmt: skip
    assert path.read_bytes()[144 + int(read.file_meta.FileMetaInformationGroupLength) :] == PATIENT
    assert (stored.size, stored.sha256) == (path.stat().st_size, hashlib.sha256(PATIENT).digest())
    assert spool.use()[:2] == (1, stored.size)


def test_only_the_gateway_may_read_it(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    begun(spool)
    assert [stat.S_IMODE(one.stat().st_mode) for one in files(spool)] == [0o600]
    folders = [spool.folder, *(one for one in spool.folder.rglob("*") if one.is_dir())]
    assert [stat.S_IMODE(one.stat().st_mode) for one in folders] == [0o700] * 3


def test_what_is_not_kept_is_removed(tmp_path: Path) -> None:
    spool = spool_of(tmp_path)
    file = begun(spool)
    file.write(PATIENT)
    assert spool.use().bytes > 0
    file.close()
    file.close()
    assert (files(spool), spool.use()[:2]) == ([], (0, 0))


def test_the_quota_is_kept_while_a_file_grows(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, quota=10_000)
    file = begun(spool)
    file.write(bytes(9_000))
    with pytest.raises(Unavailable, match="quota"):
        file.write(bytes(1_000))
    assert 0 < spool.use().room_bytes < 1_000
    file.close()
    begun(spool).write(bytes(9_000))


def test_the_disk_keeps_its_free_space(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="free space"):
        begun(spool_of(tmp_path, free=LARGE))
    assert spool_of(tmp_path, free=LARGE).use().room_bytes == 0


def test_a_file_that_is_deleted_makes_room(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, quota=10_000)
    file = begun(spool)
    file.write(bytes(9_000))
    file.keep()
    file.close()
    spool.delete(file.stored.file, file.stored.size)
    spool.delete(file.stored.file, file.stored.size)
    assert (files(spool), spool.use()[:2], spool.use().room_bytes) == ([], (0, 0), 10_000)


def test_a_folder_that_cannot_be_written_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(ConfigError, match=r"studies\.spool\.folder: .* cannot be written"):
        spool_of(tmp_path)
