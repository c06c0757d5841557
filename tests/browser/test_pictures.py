"""The contact sheet with images of every kind: all are loaded and show something, at two widths."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
import pytest
import pytest_asyncio
from playwright.async_api import expect

from gateway.operations.pictures import Pictures
from gateway.pixels.compressing import compressed
from gateway.pixels.pool import Pool
from tests.browser.conftest import OpenPage
from tests.browser.test_look import WIDTHS, check
from tests.pixels.samples import image, sample, saved
from tests.web.kept_pixels import REPORT, Kept, keep
from tests.web.served import STUDY, Served, served

GREY: Final = (
    "CT_small.dcm", "MR_small_RLE.dcm", "JPGExtended.dcm", "J2K_pixelrep_mismatch.dcm", "image_dfl.dcm",
    "MR_small_bigendian.dcm", "rtdose_rle.dcm", "liver_1frame.dcm",
)  # fmt: skip
"""Signed and unsigned of 16 and 12 bits, deflated, big endian, 32 bits in 15 frames, single bits."""
COLOUR: Final = (
    "examples_ybr_color.dcm", "examples_palette.dcm", "examples_rgb_color.dcm", "examples_jpeg2k.dcm",
    "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm", "GDCMJ2K_TextGBR.dcm",
)  # fmt: skip
"""YBR_FULL_422 in 30 frames, PALETTE COLOR, RGB, YBR_RCT, and both kinds of YBR_FULL."""
pytestmark = pytest.mark.asyncio(loop_scope="session")


def _made(folder: Path) -> list[Path]:
    """MONOCHROME1 that is high and narrow, HTJ2K, and pixels that are no squares."""
    ramp = np.tile(np.arange(400, dtype=np.uint16) * 10, (1200, 1))
    high = saved(image(ramp, PhotometricInterpretation="MONOCHROME1"), folder / "high.dcm")
    compressed(sample("CT_small.dcm"), folder / "htj2k.dcm", "htj2k")
    flat = saved(image(ramp[:200], PixelAspectRatio=[3, 1]), folder / "flat.dcm")
    return [high, folder / "htj2k.dcm", flat]


def _views(folder: Path) -> Iterator[Path]:
    """The same slice as different kinds of pixels, and through different views."""
    ct = pydicom.dcmread(sample("CT_small.dcm")).pixel_array
    dark, bright = int(ct.min()), int(ct.max())
    eight = ((ct - dark) * (255 / (bright - dark))).astype(np.uint8)
    count = bright - dark + 1
    colours = np.stack([eight, eight // 2, 255 - eight], axis=-1)
    planes = image(colours, PlanarConfiguration=1)
    planes.PixelData = np.ascontiguousarray(colours.transpose(2, 0, 1)).tobytes()
    ybr = image(colours, PhotometricInterpretation="YBR_FULL")
    ybr.PixelData = np.stack([eight, np.full_like(eight, 128), np.full_like(eight, 180)], axis=-1).tobytes()
    whole = image(ct)
    del whole.PixelData
    whole.BitsAllocated, whole.FloatPixelData = 32, (ct / 1000).astype("<f4").tobytes()
    made = {
        "signed of 8 bits": image((eight.astype(np.int16) - 128).astype(np.int8)),
        "planes": planes,
        "luma and chroma": ybr,
        "inverse": image(ct, PresentationLUTShape="INVERSE"),
        "modality LUT": image(ct, ModalityLUTSequence=_lut(count, dark, [one * 16 for one in range(count)])),
        "VOI LUT": image(ct, VOILUTSequence=_lut(count, dark, [65535 - one * 24 for one in range(count)])),
        "floating point": whole,
        "overlay in unused bits": image((eight.astype(np.uint16) << 4) | 0x8000, BitsStored=12, HighBit=11),
    }
    for name, data_set in made.items():
        yield saved(data_set, folder / f"{name}.dcm")


def _lut(count: int, first: int, data: list[int]) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [count, first, 16], data
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    return pydicom.Sequence([item])


@pytest.fixture(scope="module")
def folder(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheet")
    shutil.copy(sqlite_template, folder / "gateway.db")
    return folder


@pytest.fixture(scope="module")
def files(folder: Path) -> dict[int, list[Path]]:
    """Series -> files."""
    return {
        1: [sample(name) for name in GREY],
        2: [sample(name) for name in COLOUR],
        3: _made(folder),
        4: list(_views(folder)),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sheet(folder: Path, files: dict[int, list[Path]]) -> AsyncIterator[Served]:
    paths = {path.name: path for of_series in (*files.values(), [sample("MR_small.dcm")]) for path in of_series}
    kept = [
        Kept(number, path, series=f"{STUDY}.{series}")
        for series, of_series in files.items()
        for number, path in enumerate(of_series, 1)
    ]
    others = [
        Kept(90, sample("MR_small.dcm"), patient_id="0815"),
        Kept(91, Path("r.dcm"), series=f"{STUDY}.3", sop_class=REPORT),
        Kept(92, series=f"{STUDY}.3"),
    ]
    async with (
        Pool() as pool,
        served(
            f"sqlite:///{folder}/gateway.db", pictures=Pictures("", lambda name: paths[name], pool.preview)
        ) as console,
    ):
        await keep(console.store, *kept, *others)
        yield console


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_the_contact_sheet(
    open_page: OpenPage, shots: Path | None, sheet: Served, width: int, dark: bool
) -> None:
    page = await open_page(f"{sheet.base}/studies/{STUDY}/pictures", width=width, dark=dark)
    pictures = page.locator(".sheet img")
    await expect(pictures).to_have_count(8 + 1 + 7 + 3 + 8)
    for number in range(await pictures.count()):
        picture = pictures.nth(number)
        await picture.scroll_into_view_if_needed()
        await expect(picture).to_have_js_property("complete", True, timeout=30_000)
        assert await picture.evaluate("image => image.naturalWidth") > 0
    await page.evaluate("scrollTo(0, 0)")
    await check(page, shots, f"contact-sheet-{width}-{'dark' if dark else 'light'}")
