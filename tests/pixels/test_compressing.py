from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from gateway.pixels.compressing import compressed
from gateway.pixels.decoding import decoded
from gateway.pixels.encoders import ENCODERS
from gateway.pixels.faults import LossyRefused, UnsupportedPixels
from tests.pixels.references import by_dcmtk, difference, picture
from tests.pixels.samples import image, raw_values, sample, saved

NATIVE = (
    "MR_small.dcm", "CT_small.dcm", "examples_palette.dcm", "SC_rgb_small_odd.dcm", "MR_small_implicit.dcm",
    "ExplVR_BigEnd.dcm",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", ENCODERS)
@pytest.mark.parametrize("name", NATIVE)
def test_what_is_compressed_comes_back_as_it_was(name: str, method: str, tmp_path: Path) -> None:
    source = sample(name)
    compressed(source, tmp_path / "coded.dcm", method)
    coded = pydicom.dcmread(tmp_path / "coded.dcm")
    assert coded.file_meta.TransferSyntaxUID == ENCODERS[method].syntax
    assert coded.SOPInstanceUID == pydicom.dcmread(source).SOPInstanceUID
    decoded(tmp_path / "coded.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert difference(picture(tmp_path / "decoded.dcm"), picture(source)) == 0
    theirs = by_dcmtk(tmp_path / "coded.dcm", ENCODERS[method].syntax, tmp_path)
    assert theirs is None or difference(theirs, picture(source)) == 0


def test_nothing_but_the_encoding_changes(tmp_path: Path) -> None:
    compressed(sample("CT_small.dcm"), tmp_path / "coded.dcm", "jpeg-ls")
    before, after = raw_values(sample("CT_small.dcm")), raw_values(tmp_path / "coded.dcm")
    changed = {tag for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)}
    assert {tag for tag in changed if tag & 0xFFFF} == {0x7FE00010}


@pytest.mark.parametrize("method", ENCODERS)
@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(2 * 9 * 7 * 3, dtype=np.uint16).reshape(2, 9, 7, 3) * 100,
        np.arange(2 * 9 * 7, dtype=np.int16).reshape(2, 9, 7) * 100 - 6000,
        np.arange(9 * 7, dtype=np.int8).reshape(9, 7) - 30,
    ],
    ids=["RGB of 16 bits", "signed", "signed of 8 bits"],
)
def test_made_pixels_come_back_as_they_were(pixels: NDArray[Any], method: str, tmp_path: Path) -> None:
    source = saved(image(pixels), tmp_path / "source.dcm")
    compressed(source, tmp_path / "coded.dcm", method)
    decoded(tmp_path / "coded.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert pydicom.dcmread(tmp_path / "decoded.dcm").PixelData == pydicom.dcmread(source).PixelData


def test_chroma_of_its_own_stays_as_it_is(tmp_path: Path) -> None:
    """No transform of components is added to YBR_FULL, and none is undone."""
    source = saved(
        image(np.arange(75, dtype=np.uint8).reshape(5, 5, 3), PhotometricInterpretation="YBR_FULL"),
        tmp_path / "source.dcm",
    )
    for method in ENCODERS:
        compressed(source, tmp_path / "coded.dcm", method)
        decoded(tmp_path / "coded.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
        assert difference(picture(tmp_path / "decoded.dcm"), picture(source)) == 0


@pytest.mark.parametrize("method", ["jpeg", "jpeg2000", "jpeg-ls-near", ""])
def test_a_lossy_method_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(LossyRefused, match="none of the lossless methods"):
        compressed(sample("MR_small.dcm"), tmp_path / "coded.dcm", method)
    assert list(tmp_path.iterdir()) == []


def test_what_is_compressed_already_stays(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedPixels, match="compressed already"):
        compressed(sample("MR_small_RLE.dcm"), tmp_path / "coded.dcm", "jpeg-ls")


def test_an_overlay_in_unused_bits_is_not_lost(tmp_path: Path) -> None:
    pixels = np.full((4, 4), 0x8001, np.uint16)
    source = saved(image(pixels, BitsStored=12, HighBit=11), tmp_path / "source.dcm")
    with pytest.raises(UnsupportedPixels, match="beyond Bits Stored"):
        compressed(source, tmp_path / "coded.dcm", "jpeg-ls")
    assert [path.name for path in tmp_path.iterdir()] == ["source.dcm"]
