"""Compressed files decoded by the gateway, by DCMTK and by GDCM: the largest difference of any sample, for each file.

`python -m bench.pixels [FOLDER]`: files of pydicom, of the package pydicom-data where it is installed, of FOLDER, and
files made of some of these with DCMTK, GDCM and our own encoders. With dciodvfy the errors of the decoded file that the
compressed file did not have are counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from gateway.pixels.compressing import compressed
from gateway.pixels.decoders import DECODERS
from gateway.pixels.decoding import decoded
from gateway.pixels.encoders import ENCODERS
from gateway.pixels.faults import PixelFault
from tests.pixels.references import Picture, by_dcmtk, by_gdcm, difference, picture
from tests.pixels.samples import SHIPPED, compressed_samples, sample

MADE_BY: Final = {
    "dcmcjpeg +e1": ["dcmcjpeg", "+e1"], "dcmcjpeg +eb": ["dcmcjpeg", "+eb"], "dcmcjpeg +ee": ["dcmcjpeg", "+ee"],
    "dcmcjpeg +el": ["dcmcjpeg", "+el"], "dcmcjpls": ["dcmcjpls"], "dcmcjpls +en": ["dcmcjpls", "+en"],
    "dcmcrle": ["dcmcrle"], "gdcmconv --j2k": ["gdcmconv", "--j2k"], "gdcmconv --jpegls": ["gdcmconv", "--jpegls"],
    "gdcmconv --jpeg": ["gdcmconv", "--jpeg"], "gdcmconv --rle": ["gdcmconv", "--rle"],
}  # fmt: skip
"""Name -> command of another encoder."""
NATIVE: Final = (
    "CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "examples_rgb_color.dcm", "SC_rgb_small_odd.dcm",
    "examples_overlay.dcm",
)  # fmt: skip


def main(*folders: str) -> None:
    warnings.simplefilter("ignore")
    _show("file", "syntax", "decoder", "DCMTK", "GDCM", "new errors", "remark")
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        for path in [*compressed_samples(SHIPPED, *_folders(), *map(Path, folders)), *_made(work)]:
            _show(*_compared(path, work))


def _folders() -> Iterator[Path]:
    spec = find_spec("data_store")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent


def _made(work: Path) -> Iterator[Path]:
    for name in NATIVE:
        for label, command in MADE_BY.items():
            target = work / f"{Path(name).stem}, {label}.dcm"
            done = subprocess.run([*command, sample(name), target], capture_output=True, check=False, timeout=60)
            if done.returncode == 0 and target.exists():
                yield target
        for method in ENCODERS:
            target = work / f"{Path(name).stem}, {method}.dcm"
            compressed(sample(name), target, method)
            yield target


def _compared(path: Path, work: Path) -> tuple[str, ...]:
    syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    decoder = DECODERS[syntax].name if syntax in DECODERS else "none"
    target = work / "decoded.dcm"
    try:
        decoded(path, work / "implicit.dcm", ImplicitVRLittleEndian)
        decoded(path, target, ExplicitVRLittleEndian)
    except PixelFault as fault:
        return path.stem, syntax[17:], decoder, "", "", "", str(fault)
    ours = picture(target)
    remark = "" if difference(ours, picture(work / "implicit.dcm")) == 0 else "Implicit VR differs from Explicit VR"
    theirs = by_dcmtk(path, syntax, work), by_gdcm(path, work)
    return path.stem, syntax[17:], decoder, *(_far(ours, one) for one in theirs), _new_errors(path, target), remark


def _far(ours: Picture, theirs: Picture | None) -> str:
    if theirs is None:
        return "does not read it"
    try:
        return str(difference(ours, theirs))
    except (AssertionError, ValueError) as error:
        return str(error)


def _new_errors(before: Path, after: Path) -> str:
    try:
        return str(len(_errors(after) - _errors(before)))
    except FileNotFoundError:
        return ""


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    return {line for line in done.stderr.splitlines() if line.startswith("Error")}


def _show(*columns: str) -> None:
    print(" | ".join(columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
