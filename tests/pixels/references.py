"""The same pixels as other software decodes them: DCMTK, which has no JPEG 2000, GDCM, and OpenJPEG and libjxl for what
these do not read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import convert_color_space

from gateway.pixels import syntaxes
from tests.peers.dcmtk import dcmtk

TOOLS = {
    syntaxes.RLE: "dcmdrle", syntaxes.JPEG_LS: "dcmdjpls", syntaxes.JPEG_LS_NEAR: "dcmdjpls",
    **dict.fromkeys(
        (syntaxes.JPEG_BASELINE, syntaxes.JPEG_EXTENDED, syntaxes.JPEG_LOSSLESS, syntaxes.JPEG_LOSSLESS_FIRST_ORDER),
        "dcmdjpeg",
    ),
}  # fmt: skip
"""Transfer syntax -> program of DCMTK."""


_WAVELETS = frozenset(
    {
        syntaxes.JPEG_2000_LOSSLESS, syntaxes.JPEG_2000, syntaxes.HTJ2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS_RPCL,
        syntaxes.HTJ2K,
    }
)  # fmt: skip
_JPEG_XL = frozenset({syntaxes.JPEG_XL_LOSSLESS, syntaxes.JPEG_XL})


_CONVERTED = frozenset({"YBR_FULL", "YBR_FULL_422"})
"""What pydicom makes RGB of."""


class Picture(NamedTuple):
    pixels: NDArray[Any]
    photometric: str


def picture(path: Path) -> Picture:
    """The pixels of a file without compression, by pydicom, in Bits Stored alone; YBR_FULL as RGB."""
    data_set = pydicom.dcmread(path)
    photometric = str(data_set.PhotometricInterpretation)
    stored, high_bit = int(data_set.BitsStored), int(data_set.HighBit)
    # pydicom would take the bits beyond away.
    data_set.BitsStored, data_set.HighBit = data_set.BitsAllocated, data_set.BitsAllocated - 1
    pixels = data_set.pixel_array
    data_set.BitsStored, data_set.HighBit = stored, high_bit
    return Picture(_stored(pixels, data_set), "RGB" if photometric in _CONVERTED else photometric)


def _stored(pixels: NDArray[Any], data_set: pydicom.Dataset) -> NDArray[Any]:
    """In Bits Stored; what a loss took beyond them is cut off, which other software leaves as it is."""
    stored = int(data_set.BitsStored)
    if stored >= data_set.BitsAllocated:
        return pixels
    if data_set.get("LossyImageCompression") == "01":
        lowest = -(1 << stored - 1) if data_set.PixelRepresentation else 0
        within: NDArray[Any] = np.clip(pixels, lowest, lowest + (1 << stored) - 1)
        return within
    unused = pixels.dtype.itemsize * 8 - stored
    return pixels << unused >> unused


def by_dcmtk(path: Path, syntax: str, folder: Path) -> Picture | None:
    """None: DCMTK does not read the file, or not the syntax."""
    tool = TOOLS.get(syntax)
    return _converted([str(dcmtk(tool)), str(path)], folder / "dcmtk.dcm") if tool is not None else None


def by_gdcm(path: Path, _syntax: str, folder: Path) -> Picture | None:
    """None: GDCM does not read the file."""
    return _converted(["gdcmconv", "--raw", str(path)], folder / "gdcm.dcm")


def by_openjpeg(path: Path, syntax: str, _folder: Path) -> Picture | None:
    """Of JPEG 2000 and HTJ2K."""
    if syntax not in _WAVELETS or find_spec("openjpeg") is None:
        return None
    return _by_frames(path, import_module("openjpeg").decode)


def by_libjxl(path: Path, syntax: str, folder: Path) -> Picture | None:
    """Of JPEG XL, by the program djxl."""

    is_colour = pydicom.dcmread(path, stop_before_pixels=True).SamplesPerPixel == 3

    def decode(frame: bytes) -> NDArray[Any]:
        source, target = folder / "frame.jxl", folder / f"frame.{'ppm' if is_colour else 'pgm'}"
        source.write_bytes(frame)
        subprocess.run(["djxl", source, target], capture_output=True, check=True, timeout=60)
        return _of_pnm(target.read_bytes())

    return _by_frames(path, decode) if syntax in _JPEG_XL else None


def _of_pnm(raw: bytes) -> NDArray[Any]:
    kind, columns, rows, most, pixels = raw.split(maxsplit=3)[:3] + raw.split(maxsplit=3)[3].split(b"\n", 1)
    shape = (int(rows), int(columns), 3) if kind == b"P6" else (int(rows), int(columns))
    return np.frombuffer(pixels, ">u2" if int(most) > 255 else "u1").reshape(shape)


def _by_frames(path: Path, decode: Callable[[bytes], NDArray[Any]]) -> Picture:
    data_set = pydicom.dcmread(path)
    frames = generate_frames(data_set.PixelData, number_of_frames=int(data_set.get("NumberOfFrames") or 1))
    pixels = np.stack([decode(frame) for frame in frames])
    if data_set.SamplesPerPixel == 3:
        if data_set.PhotometricInterpretation in _CONVERTED:
            pixels = convert_color_space(pixels, "YBR_FULL", "RGB")
        return Picture(pixels, "RGB")
    kind = "i" if data_set.PixelRepresentation else "u"
    contained = pixels.astype(f"{kind}{max(8, data_set.BitsAllocated) // 8}")
    return Picture(_stored(contained, data_set), data_set.PhotometricInterpretation)


def _converted(command: list[str], target: Path) -> Picture | None:
    target.unlink(missing_ok=True)
    done = subprocess.run([*command, str(target)], capture_output=True, check=False, timeout=60)
    return picture(target) if done.returncode == 0 else None


def difference(ours: Picture, theirs: Picture) -> int:
    """The largest, of any sample."""
    if ours.photometric != theirs.photometric:
        raise AssertionError(f"{ours.photometric} against {theirs.photometric}")
    if np.squeeze(ours.pixels).shape != np.squeeze(theirs.pixels).shape:
        raise AssertionError(f"shape {ours.pixels.shape} against {theirs.pixels.shape}")
    return int(np.abs(np.squeeze(ours.pixels).astype(np.int64) - np.squeeze(theirs.pixels).astype(np.int64)).max())


Reader = Callable[[Path, str, Path], Picture | None]
"""File, its transfer syntax, a folder to work in -> its pixels; None: not read."""
READERS: dict[str, Reader] = {"DCMTK": by_dcmtk, "GDCM": by_gdcm, "OpenJPEG": by_openjpeg, "libjxl": by_libjxl}
"""Whose pixels are compared."""
