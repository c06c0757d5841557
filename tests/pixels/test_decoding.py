from __future__ import annotations

import struct
from collections.abc import Sequence as Frames
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.pixels import syntaxes
from gateway.pixels.compressing import compressed
from gateway.pixels.decoders import DECODERS
from gateway.pixels.decoding import decoded
from gateway.pixels.faults import BrokenPixels, PixelFault, UnsupportedPixels
from tests.pixels.references import by_dcmtk, difference, picture
from tests.pixels.samples import BROKEN, SHIPPED, compressed_samples, image, raw_values, sample, saved

TARGETS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
OF_ENCODING = {0x00280004, 0x00280006, 0x00282110, 0x7FE00010}
"""What may differ without the compression."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", list(compressed_samples(SHIPPED)), ids=lambda path: path.stem)
def test_pixels_are_those_of_dcmtk_and_all_else_keeps_its_bytes(path: Path, tmp_path: Path) -> None:
    before = pydicom.dcmread(path, stop_before_pixels=True)
    theirs = by_dcmtk(path, before.file_meta.TransferSyntaxUID, tmp_path)
    values = raw_values(path)
    for syntax in TARGETS:
        target = tmp_path / "decoded.dcm"
        decoded(path, target, syntax)
        after = pydicom.dcmread(target)
        assert after.file_meta.TransferSyntaxUID == syntax
        assert after.SOPInstanceUID == before.SOPInstanceUID
        if "LossyImageCompression" in before:
            assert after.LossyImageCompression == before.LossyImageCompression
        ours = picture(target)
        assert theirs is None or difference(ours, theirs) == 0
        written = raw_values(target)
        assert {tag: written[tag] for tag in values if tag in written and tag not in OF_ENCODING} == {
            tag: value for tag, value in values.items() if tag in written and tag not in OF_ENCODING
        }
        assert {tag for tag in values if tag not in written and tag & 0xFFFF} <= {0x7FE00001, 0x7FE00002, 0x7FE00003}


@pytest.mark.parametrize(
    ("coded", "native"),
    [
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    ],
)
def test_what_was_compressed_without_loss_is_as_it_was(coded: str, native: str, tmp_path: Path) -> None:
    decoded(sample(coded), tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert difference(picture(tmp_path / "decoded.dcm"), picture(sample(native))) == 0


def test_what_was_compressed_and_decoded_is_the_same_file(tmp_path: Path) -> None:
    """With a LUT whose first mapped value is negative, which libraries read in different ways."""
    data_set = image(np.arange(64, dtype=np.int16).reshape(8, 8))
    lut = pydicom.Dataset()
    lut.add_new(0x00283002, "SS", [16, -2048, 16])
    lut.add_new(0x00283006, "US", list(range(16)))
    data_set.ModalityLUTSequence = Sequence([lut])
    source = saved(data_set, tmp_path / "source.dcm")
    compressed(source, tmp_path / "rle.dcm", "rle")
    decoded(tmp_path / "rle.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert (tmp_path / "decoded.dcm").read_bytes()[300:] == source.read_bytes()[300:]


def test_an_icon_that_is_compressed_is_decoded_too(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    data_set = image(pixels)
    saved(data_set, tmp_path / "source.dcm")
    compressed(tmp_path / "source.dcm", tmp_path / "rle.dcm", "rle")
    rle = pydicom.dcmread(tmp_path / "rle.dcm")
    icon = pydicom.Dataset()
    icon.update(rle)
    icon["PixelData"].is_undefined_length = True
    rle.IconImageSequence = Sequence([icon])
    rle.save_as(tmp_path / "rle.dcm", enforce_file_format=True)
    for syntax in TARGETS:
        decoded(tmp_path / "rle.dcm", tmp_path / "decoded.dcm", syntax)
        after = pydicom.dcmread(tmp_path / "decoded.dcm")
        assert after.IconImageSequence[0].PixelData == after.PixelData == pixels.tobytes()


@pytest.mark.parametrize("method", ["deflate"])
def test_frames_of_single_bits_share_bytes_again(method: str, tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7), np.uint8)
    data_set = image(bits, BitsAllocated=1, BitsStored=1, HighBit=0)
    data_set.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    source = saved(data_set, tmp_path / "source.dcm")
    compressed(source, tmp_path / "coded.dcm", method)
    decoded(tmp_path / "coded.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert pydicom.dcmread(tmp_path / "decoded.dcm").PixelData == data_set.PixelData


@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "MR_small.dcm", "image_dfl.dcm", "nested_priv_SQ.dcm"])
def test_what_is_not_compressed_changes_its_encoding_alone(name: str, tmp_path: Path) -> None:
    before = pydicom.dcmread(sample(name))
    decoded(sample(name), tmp_path / "implicit.dcm", ImplicitVRLittleEndian)
    decoded(tmp_path / "implicit.dcm", tmp_path / "explicit.dcm", ExplicitVRLittleEndian)
    for step in ("implicit", "explicit"):
        after = pydicom.dcmread(tmp_path / f"{step}.dcm")
        if name == "nested_priv_SQ.dcm":
            assert after[0x00010001][0][0x00010001][0][0x00010001].value in ("Double Nested SQ", b"Double Nested SQ")
            continue
        assert after.PatientName == before.PatientName
        assert np.array_equal(after.pixel_array, before.pixel_array)
        assert {element.tag for element in after} == {one.tag for one in before if one.tag.element}


def _with(pixels: NDArray[Any], frames: Frames[bytes | bytearray], syntax: str, path: Path, **attributes: Any) -> Path:
    """An instance whose frames another encoder made."""
    data_set = image(pixels, **attributes)
    data_set.PixelData = encapsulate([bytes(one) for one in frames])
    data_set["PixelData"].VR = "OB"
    return saved(data_set, path, syntax)


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint8"])
def test_jpeg_xl_without_loss_is_as_it_was(kind: str, tmp_path: Path) -> None:
    pixels = (np.arange(2 * 30 * 40).reshape(2, 30, 40) * 20 - (20_000 if kind == "int16" else 0)).astype(kind)
    frames = [imagecodecs.jpegxl_encode(one.view(f"u{one.itemsize}"), lossless=True) for one in pixels]
    source = _with(pixels, frames, syntaxes.JPEG_XL_LOSSLESS, tmp_path / "source.dcm")
    decoded(source, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert pydicom.dcmread(tmp_path / "decoded.dcm").PixelData == pixels.tobytes()


def test_a_jpeg_in_jpeg_xl_has_the_pixels_of_the_jpeg(tmp_path: Path) -> None:
    coded = pydicom.dcmread(sample("SC_rgb_jpeg_dcmtk.dcm"))
    [frame] = generate_frames(coded.PixelData, number_of_frames=1)
    pixels = np.zeros((coded.Rows, coded.Columns, 3), np.uint8)
    source = _with(
        pixels, [imagecodecs.jpegxl_encode_jpeg(frame)], syntaxes.JPEG_XL_RECOMPRESSED, tmp_path / "source.dcm",
        PhotometricInterpretation="YBR_FULL", LossyImageCompression="01",
    )  # fmt: skip
    for path, name in ((source, "ours.dcm"), (sample("SC_rgb_jpeg_dcmtk.dcm"), "theirs.dcm")):
        decoded(path, tmp_path / name, ExplicitVRLittleEndian)
    assert difference(picture(tmp_path / "ours.dcm"), picture(tmp_path / "theirs.dcm")) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_loss_takes_beyond_the_range_is_white_and_not_black(kind: Any, tmp_path: Path) -> None:
    white = np.iinfo(kind).max
    pixels = np.zeros((64, 64), kind)
    pixels[20:40, 20:40] = white
    frame = imagecodecs.htj2k_encode(pixels, reversible=False, level=0.01)
    source = _with(pixels, [bytes(frame)], syntaxes.HTJ2K, tmp_path / "source.dcm")
    decoded(source, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    ours = picture(tmp_path / "decoded.dcm").pixels
    assert np.abs(ours.astype(int) - pixels).max() < white // 8


@pytest.mark.parametrize(("lossy", "white"), [("01", 1023), (None, 1030)], ids=["with loss", "maybe an overlay"])
def test_no_value_is_beyond_bits_stored_where_something_was_lost(lossy: str | None, white: int, tmp_path: Path) -> None:
    """The stream has more bits than are stored: what another encoder made of 10 bits."""
    pixels = np.zeros((64, 64), np.uint16)
    pixels[20:40, 20:40] = 1030
    frame = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", reversible=True)
    data_set = image(pixels, BitsStored=10, HighBit=9)
    if lossy is not None:
        data_set.LossyImageCompression = lossy
    data_set.PixelData = encapsulate([bytes(frame)])
    source = saved(data_set, tmp_path / "source.dcm", syntaxes.JPEG_2000)
    decoded(source, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert np.frombuffer(pydicom.dcmread(tmp_path / "decoded.dcm").PixelData, "<u2").max() == white


def test_a_sign_in_all_bits_is_none_of_the_value_where_something_was_lost(tmp_path: Path) -> None:
    """JPEG-LS has no signed numbers: a stream of 16 bits that holds 12, of which a loss made less than -2048."""
    values = np.tile(np.array([-2050, -2048, -1, 2047, 2049], "<i2"), (5, 1))
    data_set = image(values, BitsStored=12, HighBit=11, PixelRepresentation=1, LossyImageCompression="01")
    data_set.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(values.view("<u2")))])
    source = saved(data_set, tmp_path / "source.dcm", syntaxes.JPEG_LS_NEAR)
    decoded(source, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    ours = np.frombuffer(pydicom.dcmread(tmp_path / "decoded.dcm").PixelData, "<i2", 5)
    assert ours.tolist() == [-2048, -2048, -1, 2047, 2047]


@pytest.mark.parametrize("syntax", [syntaxes.HTJ2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS_RPCL, syntaxes.HTJ2K])
def test_htj2k_is_read_as_openjpeg_reads_it(syntax: str, tmp_path: Path) -> None:
    pixels = pydicom.dcmread(sample("CT_small.dcm")).pixel_array
    frame = imagecodecs.htj2k_encode(pixels, reversible=syntax != syntaxes.HTJ2K)
    theirs = imagecodecs.jpeg2k_decode(frame)
    source = _with(pixels, [bytes(frame)], syntax, tmp_path / "source.dcm")
    decoded(source, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    ours = picture(tmp_path / "decoded.dcm").pixels
    assert np.abs(ours.astype(int) - theirs).max() <= (0 if syntax != syntaxes.HTJ2K else 1)


def test_a_lossy_process_that_only_the_syntax_told_is_stated(tmp_path: Path) -> None:
    coded = pydicom.dcmread(sample("SC_rgb_jpeg_dcmtk.dcm"))
    del coded.LossyImageCompression
    coded.save_as(tmp_path / "coded.dcm")
    decoded(tmp_path / "coded.dcm", tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    assert pydicom.dcmread(tmp_path / "decoded.dcm").LossyImageCompression == "01"


def _refused(source: Path, target: Path, syntax: str = ExplicitVRLittleEndian) -> PixelFault:
    with pytest.raises(PixelFault) as caught:
        decoded(source, target, syntax)
    assert list(target.parent.glob(f"{target.name}*")) == []
    return caught.value


@pytest.mark.parametrize("name", [*sorted(BROKEN), "MR_truncated.dcm"])
def test_what_is_broken_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    assert isinstance(_refused(sample(name), tmp_path / "decoded.dcm"), BrokenPixels)


def _of_ten_frames(method: str, tmp_path: Path) -> pydicom.Dataset:
    pixels = np.random.default_rng(1).integers(0, 4000, (10, 16, 16), np.uint16)
    compressed(saved(image(pixels), tmp_path / "source.dcm"), tmp_path / "coded.dcm", method)
    return pydicom.dcmread(tmp_path / "coded.dcm")


def test_a_stream_that_ends_within_a_late_frame_leaves_nothing_behind(tmp_path: Path) -> None:
    coded = _of_ten_frames("lossless-jpeg2000", tmp_path)
    frames = list(generate_frames(coded.PixelData, number_of_frames=10))
    coded.PixelData = encapsulate([*frames[:-1], frames[-1][:40]])
    coded.save_as(tmp_path / "coded.dcm")
    fault = _refused(tmp_path / "coded.dcm", tmp_path / "decoded.dcm")
    assert "OpenJPEG cannot decode a frame" in str(fault)


def test_an_rle_segment_that_ends_early_is_not_black(tmp_path: Path) -> None:
    coded = _of_ten_frames("rle", tmp_path)
    frames = list(generate_frames(coded.PixelData, number_of_frames=10))
    _, _, second = struct.unpack_from("<3L", frames[-1])
    coded.PixelData = encapsulate([*frames[:-1], frames[-1][:second]])
    coded.save_as(tmp_path / "coded.dcm")
    fault = _refused(tmp_path / "coded.dcm", tmp_path / "decoded.dcm")
    assert str(fault) == "PixelData: an RLE segment has 0 bytes, stated are 256"


@pytest.mark.parametrize(
    ("name", "encode", "syntax"),
    [
        ("lossless JPEG", partial(imagecodecs.jpeg8_encode, lossless=True), syntaxes.JPEG_LOSSLESS_FIRST_ORDER),
        ("HTJ2K", partial(imagecodecs.htj2k_encode, reversible=True), syntaxes.HTJ2K_LOSSLESS),
    ],
)
def test_a_frame_that_is_cut_off_is_refused(name: str, encode: Any, syntax: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
    frame = bytes(encode(pixels))
    whole = _with(pixels, [frame], syntax, tmp_path / "whole.dcm")
    decoded(whole, tmp_path / "decoded.dcm", ExplicitVRLittleEndian)
    (tmp_path / "decoded.dcm").unlink()
    cut = _with(pixels, [frame[: len(frame) * 9 // 10]], syntax, tmp_path / "cut.dcm")
    assert "cut off" in str(_refused(cut, tmp_path / "decoded.dcm")), name


def test_fewer_frames_than_are_stated_are_refused(tmp_path: Path) -> None:
    coded = _of_ten_frames("rle", tmp_path)
    coded.NumberOfFrames = 11
    coded.save_as(tmp_path / "coded.dcm")
    fault = _refused(tmp_path / "coded.dcm", tmp_path / "decoded.dcm")
    assert str(fault) == "PixelData: 10 frames are there, 11 are stated"


def test_video_and_unknown_syntaxes_are_refused(tmp_path: Path) -> None:
    coded = pydicom.dcmread(sample("MR_small_RLE.dcm"))
    coded.file_meta.TransferSyntaxUID = pydicom.uid.MPEG4HP41
    coded.save_as(tmp_path / "coded.dcm")
    fault = _refused(tmp_path / "coded.dcm", tmp_path / "decoded.dcm")
    assert isinstance(fault, UnsupportedPixels)
    assert "is not decoded here" in str(fault)
    assert isinstance(_refused(sample("MR_small.dcm"), tmp_path / "decoded.dcm", syntaxes.RLE), UnsupportedPixels)


def test_each_decoder_says_why_it_was_chosen() -> None:
    assert all(one.name and one.reason for one in DECODERS.values())
