"""Instances that a destination is to store compressed: without loss, or as they came."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import (
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from sqlalchemy import select

from gateway.assembly import process as app
from gateway.pixels.pool import Pool
from gateway.pixels.syntaxes import DEFLATED_FRAMES
from gateway.store.schema import outbox, pixel_files
from tests.journey.running import Start, quiet, sqlite
from tests.journey.test_forward_to import forwarding, to
from tests.journey.test_image_forwarding import CT, data_set_of, instances, send, stand, standing
from tests.journey.test_image_forwarding import forwarding as forwarding_by_dicom
from tests.journey.test_image_forwarding import to as to_dicom
from tests.peers.pynetdicom_store import storage_scp
from tests.peers.stow import plain, stow_archive

METHODS = {
    "lossless-jpeg2000": JPEG2000Lossless, "htj2k": HTJ2KLossless, "jpeg-ls": JPEGLSLossless, "rle": RLELossless,
    "deflate": DEFLATED_FRAMES,
}  # fmt: skip
SCAN = Path(str(get_testdata_file("CT_small.dcm")))
PIXELS = pydicom.dcmread(SCAN).pixel_array
COMPRESSED = Path(str(get_testdata_file("JPEG2000.dcm")))
REPORT = Path(str(get_testdata_file("reportsi.dcm")))


async def notes_of(gateway: app.Running, kind: str) -> dict[str, str]:
    """SOP Instance UID -> what the outcome of its newest work notes."""
    wanted = select(outbox.c.subject, outbox.c.outcome).where(outbox.c.kind == kind).order_by(outbox.c.id)
    rows = await gateway.store.read(lambda c: c.execute(wanted).all())
    return {row.subject: (row.outcome or {}).get("note", "") for row in rows}


@sqlite
async def test_each_method_keeps_every_pixel_and_the_spool_what_came(start: Start, tmp_path: Path) -> None:
    for name in (*METHODS, "plain"):
        (tmp_path / name).mkdir()
    destinations = [to(name, folder=tmp_path / name, compress=name) for name in METHODS]
    async with start(
        **forwarding(tmp_path / "spool", *destinations, to("plain", folder=tmp_path / "plain"))
    ) as gateway:
        await send(gateway, SCAN)
        await quiet(gateway)
        spooled = await gateway.store.read(lambda c: c.execute(select(pixel_files.c.file)).scalar_one())
        assert set((await notes_of(gateway, "store:rle")).values()) == {"compressed without loss"}
    [plain_file] = (tmp_path / "plain").glob("*/*.dcm")
    assert plain_file.read_bytes() == (tmp_path / "spool" / spooled).read_bytes()
    async with Pool(1) as pool:
        for name, syntax in METHODS.items():
            [file] = (tmp_path / name).glob("*/*.dcm")
            made = pydicom.dcmread(file)
            assert made.file_meta.TransferSyntaxUID == syntax
            assert (made.SOPInstanceUID, made.PatientName) == (CT.SOPInstanceUID, CT.PatientName)
            assert file.stat().st_size < plain_file.stat().st_size
            back = tmp_path / f"{name}.dcm"
            await pool.decoded(file, back, ExplicitVRLittleEndian)
            assert np.array_equal(pydicom.dcmread(back).pixel_array, PIXELS)
            if syntax == RLELossless:  # which pydicom reads by itself
                assert np.array_equal(made.pixel_array, PIXELS)
    assert not list((tmp_path / "spool").glob("sending-*"))


@sqlite
async def test_what_an_archive_of_dicom_takes_decides(start: Start, tmp_path: Path) -> None:
    both, plain = [JPEGLSLossless, ExplicitVRLittleEndian], [ExplicitVRLittleEndian]
    with storage_scp(syntaxes=both) as new, storage_scp(syntaxes=plain) as old:
        archives = (to_dicom(scp.port, name, compress="jpeg-ls") for name, scp in (("new", new), ("old", old)))
        async with start(**forwarding_by_dicom(tmp_path, *archives)) as gateway:
            await send(gateway, SCAN)
            await quiet(gateway)
            spooled = await gateway.store.read(lambda c: c.execute(select(pixel_files.c.file)).scalar_one())
            came = await asyncio.to_thread(data_set_of, tmp_path / spooled)
    assert (new.associations, old.associations) == (1, 1)
    [(compressed, data)] = new.data_sets.values()
    assert compressed == JPEGLSLossless
    assert data != came
    assert list(old.data_sets.values()) == [(ExplicitVRLittleEndian, came)]


@sqlite
async def test_what_cannot_be_compressed_goes_as_it_came(start: Start, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    [noise] = instances(1)
    assert isinstance(noise, pydicom.Dataset)
    noise.PixelData = np.random.default_rng(1).integers(0, 1 << 16, 128 * 128, dtype=np.uint16).tobytes()
    [odd] = instances(1, first=2)
    assert isinstance(odd, pydicom.Dataset)
    odd.BitsStored, odd.HighBit, odd.PixelRepresentation = 8, 7, 0
    odd.PixelData = bytes([1, 0x10]) * (128 * 128)
    async with start(**forwarding(tmp_path / "spool", to("share", folder=share, compress="rle"))) as gateway:
        await send(gateway, noise, odd, COMPRESSED, REPORT)
        await quiet(gateway)
        notes = await notes_of(gateway, "store:share")
        rows = await gateway.store.read(lambda c: c.execute(select(pixel_files.c.file)).scalars().all())
    assert {one.read_bytes() for one in share.glob("*/*.dcm")} == {
        (tmp_path / "spool" / one).read_bytes() for one in rows
    }
    assert notes.pop(noise.SOPInstanceUID) == "not compressed: it would not be smaller"
    assert notes.pop(odd.SOPInstanceUID).startswith("not compressed: PixelData: bits beyond Bits Stored")
    assert list(notes.values()) == ["", ""]


@sqlite
async def test_an_archive_of_the_web_that_refuses_a_syntax_is_not_sent_it_again(start: Start, tmp_path: Path) -> None:
    async with stow_archive() as archive:
        archive.answers = {f"{CT.SOPInstanceUID}": [plain(415)]}
        destination = to("web", url=archive.url, compress="htj2k", concurrency=1)
        async with start(**forwarding(tmp_path, destination)) as gateway:
            await send(gateway, SCAN)
            await quiet(gateway)
            await send(gateway, *instances(2))
            await quiet(gateway)
            await stand(gateway, standing("web", sent=2))
    sent = [pydicom.dcmread(BytesIO(one.content)).file_meta.TransferSyntaxUID for one in archive.requests]
    assert sent == [HTJ2KLossless, *[ExplicitVRLittleEndian] * 3]
