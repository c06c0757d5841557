"""The same pixels as other software decodes them: DCMTK, which has no JPEG 2000, and GDCM."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
from numpy.typing import NDArray

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


class Picture(NamedTuple):
    pixels: NDArray[Any]
    photometric: str


def picture(path: Path) -> Picture:
    """The pixels of a file without compression, by pydicom, in Bits Stored alone."""
    data_set = pydicom.dcmread(path)
    pixels = data_set.pixel_array
    if data_set.BitsStored < data_set.BitsAllocated:
        unused = data_set.BitsAllocated - data_set.BitsStored
        pixels = pixels << unused >> unused
    return Picture(pixels, str(data_set.PhotometricInterpretation))


def by_dcmtk(path: Path, syntax: str, folder: Path) -> Picture | None:
    """None: DCMTK does not read the file, or not the syntax."""
    tool = TOOLS.get(syntax)
    return _converted([str(dcmtk(tool)), str(path)], folder / "dcmtk.dcm") if tool is not None else None


def by_gdcm(path: Path, folder: Path) -> Picture | None:
    """None: GDCM does not read the file."""
    theirs = _converted(["gdcmconv", "--raw", str(path)], folder / "gdcm.dcm")
    if theirs is not None and theirs.photometric in ("YBR_FULL", "YBR_FULL_422"):
        # Left as it is by GDCM, and converted by pydicom.
        return Picture(theirs.pixels, "RGB")
    return theirs


def _converted(command: list[str], target: Path) -> Picture | None:
    target.unlink(missing_ok=True)
    done = subprocess.run([*command, str(target)], capture_output=True, check=False, timeout=60)
    return picture(target) if done.returncode == 0 else None


def difference(ours: Picture, theirs: Picture) -> int:
    """The largest, of any sample."""
    if ours.photometric != theirs.photometric:
        raise AssertionError(f"{ours.photometric} against {theirs.photometric}")
    return int(np.abs(ours.pixels.astype(np.int64) - theirs.pixels.astype(np.int64)).max())
