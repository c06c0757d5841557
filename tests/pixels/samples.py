"""Instances for tests of pixels: files that pydicom ships, and files made here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SHIPPED = Path(pydicom.__file__).with_name("data") / "test_files"
BROKEN = {"JPEG2000-embedded-sequence-delimiter.dcm"}
BROKEN_UNCOMPRESSED = {"MR_truncated.dcm", "badVR.dcm"}
"""Files that pydicom ships broken on purpose."""


def sample(name: str) -> Path:
    """A file that pydicom ships."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    return Path(path)


def compressed_samples(*folders: Path) -> Iterator[Path]:
    """All files with encapsulated pixels."""
    yield from (path for path, is_encapsulated in _images(*folders) if is_encapsulated)


def uncompressed_samples(*folders: Path) -> Iterator[Path]:
    """All files with native pixels."""
    yield from (path for path, is_encapsulated in _images(*folders) if not is_encapsulated)


def _images(*folders: Path) -> Iterator[tuple[Path, bool]]:
    files = {path.name: path for folder in folders for path in sorted(folder.rglob("*.dcm"))}
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    for name, path in sorted(files.items()):
        try:
            data_set = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        syntax = data_set.file_meta.get("TransferSyntaxUID")
        if name not in BROKEN | BROKEN_UNCOMPRESSED and syntax is not None and "Rows" in data_set:
            yield path, syntax.is_encapsulated


def image(pixels: NDArray[Any], **attributes: Any) -> Dataset:
    """A data set whose Pixel Data are these numbers: frames, rows, columns, samples, as far as there are several."""
    data_set = Dataset()
    data_set.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data_set.SOPInstanceUID = generate_uid(entropy_srcs=["a sample"])
    data_set.PatientID = "P1"
    is_colour = pixels.ndim >= 3 and pixels.shape[-1] == 3
    frames = pixels if pixels.ndim == 3 + is_colour else pixels[np.newaxis]
    data_set.SamplesPerPixel = 3 if is_colour else 1
    data_set.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        data_set.PlanarConfiguration = 0
    if len(frames) > 1:
        data_set.NumberOfFrames = len(frames)
    data_set.Rows, data_set.Columns = frames.shape[1:3]
    data_set.BitsAllocated = data_set.BitsStored = pixels.dtype.itemsize * 8
    data_set.HighBit = data_set.BitsStored - 1
    data_set.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in attributes.items():
        setattr(data_set, name, value)
    encoded = pixels.tobytes()
    data_set.PixelData = encoded + bytes(len(encoded) % 2)
    data_set["PixelData"].VR = "OB" if data_set.BitsAllocated <= 8 else "OW"
    return data_set


def saved(data_set: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """The data set as a file."""
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    data_set.save_as(path, enforce_file_format=True, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=True)
    return path


def raw_values(path: Path) -> dict[int, bytes]:
    """The bytes of each value at the top that is no sequence."""
    data_set = pydicom.dcmread(path)
    raw = {int(tag): data_set.get_item(tag) for tag in data_set.keys()}  # noqa: SIM118  values are not to be decoded
    return {
        tag: one.value or b""
        for tag, one in raw.items()
        if one is not None and isinstance(one.value or b"", bytes) and _vr(tag, one.VR) != "SQ"
    }


def _vr(tag: int, vr: str | None) -> str:
    return dictionary_VR(tag) if vr in (None, "UN") and dictionary_has_tag(tag) else vr or "UN"
