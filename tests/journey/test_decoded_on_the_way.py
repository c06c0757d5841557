"""Compressed instances on their way to an archive that takes them as they are, and to one that takes Implicit VR Little
Endian alone, DCMTK's storescp.

`make pixels` sends every file of pydicom and of pydicom-data; the suite the smallest of each transfer syntax.
"""

from __future__ import annotations

import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian

from gateway.operations.parked import parked_work
from gateway.pixels.decoding import decoded
from gateway.pixels.faults import PixelFault
from tests.journey.running import Start, quiet
from tests.journey.test_image_forwarding import forwarding, send, to
from tests.peers.dcmtk import storescp
from tests.peers.pynetdicom_store import storage_scp
from tests.pixels.references import by_dcmtk, difference, picture
from tests.pixels.samples import SHIPPED, compressed_samples, sample

ALL: Final = os.environ.get("PIXELS") == "all"
pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SOP Instance UID, of its own for each, -> file: the smallest of each transfer syntax, or all."""
    folder = tmp_path_factory.mktemp("sources")
    chosen: dict[str, Path] = {}
    for path in sorted(compressed_samples(*_folders()), key=lambda path: path.stat().st_size):
        syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        chosen.setdefault(str(path) if ALL else str(syntax), path)
    return dict(_of_its_own(path, number, folder) for number, path in enumerate(chosen.values()))


def _folders() -> list[Path]:
    spec = find_spec("data_store") if ALL else None
    return [SHIPPED, Path(spec.origin).parent] if spec is not None and spec.origin else [SHIPPED]


def _of_its_own(path: Path, number: int, folder: Path) -> tuple[str, Path]:
    """The file with another SOP Instance UID of the same length, all else as it was; some lack what they need."""
    data_set, target = pydicom.dcmread(path, stop_before_pixels=True), folder / f"{number}.dcm"
    before = str(data_set.get("SOPInstanceUID"))
    if "StudyInstanceUID" in data_set and data_set.file_meta.MediaStorageSOPInstanceUID == before:
        uid = f"{before[:-4]}{1000 + number}"
        target.write_bytes(path.read_bytes().replace(before.encode(), uid.encode()))
        return uid, target
    uid = f"1.2.826.0.1.3680043.8.498.18.7.{number}"
    data_set = pydicom.dcmread(path)
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(uid)
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
    data_set.save_as(target)
    return uid, target


@pytest.fixture(scope="module")
def here(sources: dict[str, Path]) -> dict[str, Path]:
    """SOP Instance UID -> the file as it is decoded here."""
    made = {uid: path for uid, source in sources.items() if (path := _decoded(source)) is not None}
    assert len(made) >= len(sources) - ALL, "one file is cut off"
    return made


def _decoded(source: Path) -> Path | None:
    """The file as it is decoded here; None: it cannot be."""
    target = source.with_suffix(".decoded")
    try:
        decoded(source, target, ImplicitVRLittleEndian)
    except PixelFault:
        return None
    return target


async def test_what_the_archive_takes_arrives_byte_for_byte(
    start: Start, sources: dict[str, Path], tmp_path: Path
) -> None:
    read = {uid: pydicom.dcmread(path, stop_before_pixels=True).file_meta for uid, path in sources.items()}
    syntaxes = sorted({str(one.TransferSyntaxUID) for one in read.values()})
    with storage_scp(syntaxes=[*syntaxes, ImplicitVRLittleEndian]) as scp:
        async with start(**forwarding(tmp_path / "spool", to(scp.port))) as gateway:
            await send(gateway, *sources.values())
            await quiet(gateway)
            assert (await gateway.store.read(partial(parked_work, most=9))).deliveries == []
    for uid, path in sources.items():
        raw = path.read_bytes()
        data = raw[144 + read[uid].FileMetaInformationGroupLength :]
        assert scp.data_sets[uid] == (read[uid].TransferSyntaxUID, data), path


async def test_the_pixels_arrive_decoded(
    start: Start, sources: dict[str, Path], here: dict[str, Path], tmp_path: Path
) -> None:
    held, work = tmp_path / "held", tmp_path / "work"
    held.mkdir()
    work.mkdir()
    with storescp(held, "+xi") as port:
        async with start(**forwarding(tmp_path / "spool", to(port))) as gateway:
            await send(gateway, *sources.values())
            await quiet(gateway)
            parked = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert len(parked) == len(sources) - len(here)
            assert list((tmp_path / "spool").glob("*/instance.dcm")) == []
    received = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in held.iterdir()}
    assert received.keys() == here.keys()
    for uid in here:
        source = sources[uid]
        data_set = pydicom.dcmread(source, stop_before_pixels=True)
        syntax = data_set.file_meta.TransferSyntaxUID
        assert pydicom.dcmread(received[uid]).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        ours, theirs = picture(received[uid]), by_dcmtk(source, syntax, work)
        if theirs is not None:
            assert difference(ours, theirs) == 0, source
        assert difference(ours, picture(here[uid])) == 0, source


async def test_what_cannot_be_decoded_waits_for_a_person_with_the_reason(start: Start, tmp_path: Path) -> None:
    broken = pydicom.dcmread(sample("MR_small_jp2klossless.dcm"))
    broken.PixelData = encapsulate([b"\xff\x4f\xff\x51\x00\x00"])
    (tmp_path / "held").mkdir()
    with storescp(tmp_path / "held", "+xi") as port:
        async with start(**forwarding(tmp_path / "spool", to(port))) as gateway:
            await send(gateway, broken, sample("CT_small.dcm"))
            await quiet(gateway)
            [parked] = (await gateway.store.read(partial(parked_work, most=9))).deliveries
            assert "OpenJPEG cannot decode a frame" in parked["outcome"]["error"]
            [kept] = [one for one in (tmp_path / "spool").rglob("*.dcm") if b"\xff\x4f\xff\x51" in one.read_bytes()]
            assert kept.exists()
    [arrived] = (tmp_path / "held").iterdir()
    assert pydicom.dcmread(arrived).SOPInstanceUID == pydicom.dcmread(sample("CT_small.dcm")).SOPInstanceUID
