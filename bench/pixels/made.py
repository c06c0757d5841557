"""Compressed files that other software makes of uncompressed ones: DCMTK, GDCM, OpenJPH, libjxl, highdicom."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from bench.pixels.highdicom_files import highdicom_files
from gateway.pixels import syntaxes
from gateway.pixels.compressing import compressed
from gateway.pixels.encoders import ENCODERS
from gateway.pixels.faults import UnsupportedPixels

BY_COMMAND: Final = {
    "dcmcjpeg +e1": ["dcmcjpeg", "+e1"], "dcmcjpeg +eb": ["dcmcjpeg", "+eb"], "dcmcjpeg +ee": ["dcmcjpeg", "+ee"],
    "dcmcjpeg +el": ["dcmcjpeg", "+el"], "dcmcjpeg +eb +cr": ["dcmcjpeg", "+eb", "+cr"],
    "dcmcjpeg +eb +s4": ["dcmcjpeg", "+eb", "+s4"], "dcmcjpeg +eb +s2": ["dcmcjpeg", "+eb", "+s2"],
    "dcmcjpls": ["dcmcjpls"], "dcmcjpls +en": ["dcmcjpls", "+en"], "dcmcrle": ["dcmcrle"],
    "gdcmconv --j2k": ["gdcmconv", "--j2k"], "gdcmconv --jpegls": ["gdcmconv", "--jpegls"],
    "gdcmconv --jpeg": ["gdcmconv", "--jpeg"], "gdcmconv --rle": ["gdcmconv", "--rle"],
    "gdcmconv --jpeg --lossy": ["gdcmconv", "--jpeg", "--lossy", "-q", "80"],
    "gdcmconv --j2k --lossy": ["gdcmconv", "--j2k", "--lossy", "-r", "8"],
    "gdcmconv --jpegls --lossy": ["gdcmconv", "--jpegls", "--lossy", "-e", "2"],
}  # fmt: skip
"""Name -> command that takes and writes a DICOM file."""
Frame = NDArray[Any]
Coded = Callable[[Frame, Path], bytes]


def _by_program(command: Sequence[str], end: str, frame: Frame, work: Path) -> bytes:
    """A frame as PNM, through a program, as a stream of its own."""
    source, target = work / "frame.pnm", work / f"frame.{end}"
    rows, columns = frame.shape[:2]
    depth = 255 if frame.dtype.itemsize == 1 else 65535
    head = f"P{6 if frame.ndim == 3 else 5}\n{columns} {rows}\n{depth}\n"
    named = source.with_suffix(".ppm" if frame.ndim == 3 else ".pgm")
    named.write_bytes(head.encode() + frame.astype(f">u{frame.dtype.itemsize}").tobytes())
    target.unlink(missing_ok=True)
    places = {"IN": str(named), "OUT": str(target)}
    subprocess.run([places.get(word, word) for word in command], capture_output=True, check=True, timeout=60)
    return target.read_bytes()


_OJPH: Final = ("ojph_compress", "-i", "IN", "-o", "OUT")
BY_STREAM: Final[Mapping[str, tuple[str, str, Coded]]] = {
    "ojph_compress -reversible": (
        syntaxes.HTJ2K_LOSSLESS, "YBR_RCT", partial(_by_program, [*_OJPH, "-reversible", "true"], "j2c"),
    ),
    "ojph_compress RPCL": (
        syntaxes.HTJ2K_LOSSLESS_RPCL, "YBR_RCT",
        partial(_by_program, [*_OJPH, "-reversible", "true", "-prog_order", "RPCL"], "j2c"),
    ),
    "ojph_compress -qstep": (
        syntaxes.HTJ2K, "YBR_ICT", partial(_by_program, [*_OJPH, "-qstep", "0.01"], "j2c"),
    ),
    "cjxl -d 0": (
        syntaxes.JPEG_XL_LOSSLESS, "RGB", partial(_by_program, ["cjxl", "-d", "0", "IN", "OUT"], "jxl"),
    ),
    "cjxl -d 1": (syntaxes.JPEG_XL, "RGB", partial(_by_program, ["cjxl", "-d", "1", "IN", "OUT"], "jxl")),
}  # fmt: skip
"""Name -> transfer syntax, Photometric Interpretation of what was RGB, and what writes a frame; unsigned ones alone."""


KIND: Final = (
    "PhotometricInterpretation", "SamplesPerPixel", "PlanarConfiguration", "BitsAllocated", "BitsStored",
    "PixelRepresentation",
)  # fmt: skip


def smallest_of_each_kind(paths: Iterable[Path]) -> list[Path]:
    """A file of each kind of pixels, of one frame or several, and of each transfer syntax."""
    chosen: dict[tuple[str, ...], Path] = {}
    for path in sorted(paths, key=lambda path: path.stat().st_size):
        data_set = pydicom.dcmread(path, stop_before_pixels=True)
        frames = int(str(data_set.get("NumberOfFrames") or "1").strip("A") or 1)
        values = *(str(data_set.get(one)) for one in KIND), str(frames > 1), data_set.file_meta.TransferSyntaxUID
        chosen.setdefault(values, path)
    return list(chosen.values())


def made_files(sources: Sequence[Path], work: Path) -> Iterator[Path]:
    """Each source by each encoder that takes it."""
    for source in sources:
        yield from _by_commands(source, work)
        yield from _by_streams(source, work)
        for method in ENCODERS:
            target = work / f"{source.stem}, {method}.dcm"
            try:
                compressed(source, target, method)
            except UnsupportedPixels:
                continue
            yield target
    yield from _by_highdicom(work)


def _by_commands(source: Path, work: Path) -> Iterator[Path]:
    for label, command in BY_COMMAND.items():
        target = work / f"{source.stem}, {label}.dcm"
        done = subprocess.run([*command, source, target], capture_output=True, check=False, timeout=60)
        if done.returncode == 0 and target.exists():
            syntax = pydicom.dcmread(target, stop_before_pixels=True).file_meta.TransferSyntaxUID
            if syntax.is_encapsulated:
                yield target


def _by_streams(source: Path, work: Path) -> Iterator[Path]:
    data_set = pydicom.dcmread(source)
    if data_set.get("PixelRepresentation") or data_set.BitsAllocated not in (8, 16):
        return
    if not data_set.file_meta.TransferSyntaxUID.is_little_endian:
        return
    if data_set.PhotometricInterpretation not in ("RGB", "MONOCHROME1", "MONOCHROME2"):
        return
    pixels = data_set.pixel_array
    frames = pixels if int(data_set.get("NumberOfFrames") or 1) > 1 else pixels[np.newaxis]
    for label, (syntax, of_rgb, coded) in BY_STREAM.items():
        data_set = pydicom.dcmread(source)
        data_set.PixelData = encapsulate([coded(frame, work) for frame in frames])
        data_set["PixelData"].VR = "OB"
        # pydicom does not know those of JPEG XL, which are as long.
        data_set.file_meta.TransferSyntaxUID = UID(syntaxes.HTJ2K_LOSSLESS)
        if data_set.SamplesPerPixel == 3:
            data_set.PhotometricInterpretation, data_set.PlanarConfiguration = of_rgb, 0
        target = work / f"{source.stem}, {label}.dcm"
        data_set.save_as(target, implicit_vr=False, little_endian=True)
        target.write_bytes(target.read_bytes().replace(syntaxes.HTJ2K_LOSSLESS.encode(), syntax.encode(), 1))
        yield target


def _by_highdicom(work: Path) -> Iterator[Path]:
    """Segmentations, and secondary captures, in each syntax that highdicom writes."""
    if find_spec("highdicom") is not None:
        yield from highdicom_files(work)
