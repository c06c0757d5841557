"""Compressed instances on their way to an archive that takes Implicit VR Little Endian alone, DCMTK's storescp.

`make pixels` sends every file that pydicom ships; the suite the smallest of each transfer syntax.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian

from gateway.operations.parked import parked_work
from gateway.pixels.decoding import decoded
from tests.journey.running import Start, quiet
from tests.journey.test_image_forwarding import forwarding, send, to
from tests.peers.dcmtk import storescp
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
    for path in sorted(compressed_samples(SHIPPED), key=lambda path: path.stat().st_size):
        syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        # Of implicit VR under a syntax of explicit VR: pydicom does not write it again.
        if path.name != "SC_rgb_jpeg.dcm":
            chosen.setdefault(str(path) if ALL else str(syntax), path)
    made = {}
    for number, path in enumerate(chosen.values()):
        data_set = pydicom.dcmread(path)
        uid = pydicom.uid.UID(f"1.2.826.0.1.3680043.8.498.18.7.{number}")
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
        data_set.save_as(folder / f"{number}.dcm")
        made[str(uid)] = folder / f"{number}.dcm"
        decoded(made[str(uid)], folder / f"{number}.decoded", ImplicitVRLittleEndian)
    return made


async def test_the_pixels_arrive_decoded(start: Start, sources: dict[str, Path], tmp_path: Path) -> None:
    held, work = tmp_path / "held", tmp_path / "work"
    held.mkdir()
    work.mkdir()
    with storescp(held, "+xi") as port:
        async with start(**forwarding(tmp_path / "spool", to(port))) as gateway:
            await send(gateway, *sources.values())
            await quiet(gateway)
            assert (await gateway.store.read(partial(parked_work, most=9))).deliveries == []
            assert list((tmp_path / "spool").glob("*/instance.dcm")) == []
    received = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in held.iterdir()}
    assert received.keys() == sources.keys()
    for uid, source in sources.items():
        data_set = pydicom.dcmread(source, stop_before_pixels=True)
        syntax = data_set.file_meta.TransferSyntaxUID
        assert pydicom.dcmread(received[uid]).file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        ours, theirs = picture(received[uid]), by_dcmtk(source, syntax, work)
        if theirs is not None:
            assert difference(ours, theirs) == 0, source
        assert difference(ours, picture(source.with_suffix(".decoded"))) == 0, source


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
