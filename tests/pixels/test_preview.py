from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from gateway.pixels.faults import NoPixels, PixelFault, TooManyPixels, UnsupportedPixels
from gateway.pixels.preview import EDGE, preview
from tests.pixels.samples import image, sample, saved

RAMP = np.tile(np.arange(256, dtype=np.int16) * 8 - 1024, (256, 1))
"""From dark at the left, in steps of 8."""


def shown(data_set: pydicom.Dataset, tmp_path: Path) -> NDArray[Any]:
    levels: NDArray[Any] = imagecodecs.jpeg8_decode(preview(saved(data_set, tmp_path / "source.dcm")))
    return levels


def test_a_window_is_applied_after_rescaling(tmp_path: Path) -> None:
    levels = shown(image(RAMP, WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=0), tmp_path)
    moved = shown(image(RAMP, WindowCenter=-960, WindowWidth=400, RescaleSlope=1, RescaleIntercept=-1000), tmp_path)
    assert np.abs(levels.astype(int) - moved).max() <= 2
    values = RAMP[0]
    assert levels[100, values < -165].max() < 8
    assert levels[100, values > 245].min() > 247
    assert abs(int(levels[100, np.argmin(abs(values - 40))]) - 128) < 8


def test_monochrome1_is_dark_for_high_values(tmp_path: Path) -> None:
    levels = shown(image(RAMP, PhotometricInterpretation="MONOCHROME1"), tmp_path)
    assert levels[100, 5] > 240
    assert levels[100, -5] < 15


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": 30_000, "WindowWidth": 2}, {"WindowCenter": "", "WindowWidth": ""}]
)
def test_without_a_window_that_shows_something_percentiles_count(window: dict[str, Any], tmp_path: Path) -> None:
    levels = shown(image(RAMP, **window), tmp_path)
    assert levels[100, 5] < 15
    assert levels[100, -5] > 240


def test_a_lookup_table_is_used_whatever_its_first_value(tmp_path: Path) -> None:
    lut = pydicom.Dataset()
    lut.add_new(0x00283002, "SS", [2048, -1024, 8])
    lut.add_new(0x00283006, "US", [255 if value < 1024 else 0 for value in range(2048)])
    levels = shown(image(RAMP, VOILUTSequence=pydicom.Sequence([lut])), tmp_path)
    assert levels[100, 20] > 240
    assert levels[100, -20] < 15


def test_padding_is_dark_and_counts_for_no_percentile(tmp_path: Path) -> None:
    pixels = RAMP.copy()
    pixels[:, :64] = -32768
    levels = shown(image(pixels, PixelPaddingValue=-32768), tmp_path)
    assert levels[100, 10] < 10
    assert levels[100, 80] < 40
    assert levels[100, -5] > 240


@pytest.mark.parametrize(("keyword", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_floating_point_numbers_are_shown_and_what_is_no_number_is_dark(
    keyword: str, kind: str, tmp_path: Path
) -> None:
    pixels = RAMP.astype(kind) / 1000
    pixels[:8] = np.nan
    pixels[8:16] = np.inf
    pixels[16:24] = -99
    data_set = image(RAMP, **{f"{keyword.removesuffix('PixelData')}PixelPaddingValue": -99.0})
    del data_set.PixelData
    data_set.BitsAllocated = pixels.dtype.itemsize * 8
    setattr(data_set, keyword, pixels.tobytes())
    levels = shown(data_set, tmp_path)
    assert levels[:20].max() < 10
    assert levels[100, 5] < 15
    assert levels[100, -5] > 240


def test_of_many_frames_the_middle_is_shown_and_its_own_window_counts(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 32), 0, np.int16), RAMP[::8, ::8], np.full((32, 32), 9, np.int16)])
    groups = []
    for number in range(3):
        view = pydicom.Dataset()
        view.WindowCenter, view.WindowWidth = (0, 2048) if number == 1 else (5000, 10)
        group = pydicom.Dataset()
        group.FrameVOILUTSequence = pydicom.Sequence([view])
        groups.append(group)
    levels = shown(image(frames, PerFrameFunctionalGroupsSequence=pydicom.Sequence(groups)), tmp_path)
    assert levels.shape == (32, 32)
    assert levels[10, 1] < 20
    assert levels[10, 16] == pytest.approx(128, abs=10)


def test_it_is_made_small_and_keeps_the_shape_of_pixels(tmp_path: Path) -> None:
    assert shown(image(np.zeros((3000, 1500), np.uint8)), tmp_path).shape == (EDGE, EDGE // 2)
    stretched = image(np.zeros((100, 200), np.uint8), PixelAspectRatio=[2, 1])
    assert shown(stretched, tmp_path).shape == (200, 200)
    assert shown(image(np.zeros((1, 1), np.uint16)), tmp_path).shape == (1, 1)


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd_jpeg.dcm"],
)
def test_small_colour_images_are_right(name: str) -> None:
    levels = imagecodecs.jpeg8_decode(preview(sample(name)))
    assert levels.shape == (3, 3, 3)
    expected = pydicom.dcmread(sample("SC_rgb_small_odd.dcm")).pixel_array
    assert levels.mean(axis=(0, 1)) == pytest.approx(expected.mean(axis=(0, 1)), abs=12)


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_gdcm_KY.dcm",
     "SC_rgb_rle_16bit.dcm", "SC_rgb_jls_lossy_line.dcm", "SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_rle_32bit.dcm"],
)  # fmt: skip
def test_colours_are_those_of_the_image_however_it_is_encoded(name: str) -> None:
    """Stripes: red, green and blue at full, from the top."""
    levels = imagecodecs.jpeg8_decode(preview(sample(name)))
    for row, colour in ((5, (255, 0, 0)), (25, (0, 255, 0)), (45, (0, 0, 255))):
        assert levels[row, 50].astype(int) == pytest.approx(colour, abs=12), row


def test_a_palette_gives_its_colours() -> None:
    levels = imagecodecs.jpeg8_decode(preview(sample("examples_palette.dcm")))
    assert levels.ndim == 3
    assert np.ptp(levels.astype(int), axis=2).max() > 100


def test_where_there_is_nothing_to_show_the_reason_is_given(tmp_path: Path) -> None:
    with pytest.raises(NoPixels):
        preview(sample("reportsi.dcm"))
    with pytest.raises(PixelFault):
        preview(sample("MR_truncated.dcm"))
    huge = image(np.zeros((2, 2), np.uint8), Rows=60_000, Columns=60_000)
    with pytest.raises(TooManyPixels):
        preview(saved(huge, tmp_path / "huge.dcm"))
    odd = image(np.zeros((2, 2, 3), np.uint8), PhotometricInterpretation="HSV")
    with pytest.raises(UnsupportedPixels):
        preview(saved(odd, tmp_path / "odd.dcm"))
    (tmp_path / "text.dcm").write_text("not DICOM")
    with pytest.raises(PixelFault):
        preview(tmp_path / "text.dcm")


def test_of_a_deflated_data_set_not_the_whole_disk_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert preview(sample("image_dfl.dcm"))
    monkeypatch.setattr("gateway.pixels.preview.MOST_INFLATED", 1_000)
    with pytest.raises(TooManyPixels, match="more than 1000 bytes"):
        preview(sample("image_dfl.dcm"))
