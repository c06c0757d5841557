"""Compressed files decoded by the gateway and by others: the largest difference of any sample, for each file.

`python -m bench.pixels [FOLDER]`: files of pydicom, of the package pydicom-data where it is installed, of FOLDER, and
files that others make of uncompressed ones. DCMTK and GDCM decode them, and OpenJPEG and libjxl what these do not read;
dciodvfy looks for errors that only the decoded file has. Ends with 1 where anything differs that is not of `KNOWN`, or
is read by another and not here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from bench.pixels.made import made_files, smallest_of_each_kind
from gateway.pixels.decoders import DECODERS
from gateway.pixels.decoding import decoded
from gateway.pixels.faults import PixelFault
from tests.pixels.references import READERS, Picture, Reader, difference, picture
from tests.pixels.samples import SHIPPED, compressed_samples, uncompressed_samples

KNOWN: Final[tuple[tuple[str, str, int | None], ...]] = (
    # Mixes the bytes of several samples with more than 8 bits each: findings/.
    (r"SC_rgb\w*_(16|32)bit\b.*rle", "GDCM", None),
    (r"SC_rgb_rle_(16|32)bit", "GDCM", None),
    # Is left in YBR_FULL, and made RGB by pydicom, which rounds, and takes no 16 bits.
    (r"dcmcjpeg \+e[be]", "GDCM", 1),
    (r"SC_rgb\w*_16bit\b.*dcmcjpeg \+ee", "GDCM", None),
    # States more Bits Stored where the loss took a value beyond them.
    (r"gdcmconv --j2k --lossy", "GDCM", 1),
    # Is a JPEG with loss of 16 bits, which no process of ISO/IEC 10918-1 has: GDCM alone reads it.
    (r"gdcmconv --jpeg --lossy", "gateway", None),
    # Rounds in another way: djxl 0.7, libjxl 0.11.
    (r"cjxl -d 1", "libjxl", 3),
)  # fmt: skip
"""Of which files (in their names) whose pixels are others, and by how much at most; None: by any number."""
_VALUE: Final = re.compile(r"<[^>]*>")


def main(*folders: str) -> int:
    warnings.simplefilter("ignore")
    places = [SHIPPED, *_folders(), *map(Path, folders)]
    _show("file", "syntax", "decoder", *READERS, "new errors", "remark")
    found, counts = list[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        (work / "made").mkdir()
        native = smallest_of_each_kind(uncompressed_samples(*places))
        for path in compressed_samples(*places):
            found += _compared(path, work, counts)
        for path in made_files(native, work / "made"):
            found += _compared(path, work, counts)
            path.unlink()
    print(", ".join(f"{number:,} {what}" for what, number in counts.items()))
    print("\n".join(["", *found]) if found else "no difference that is not known")
    return 1 if found else 0


def _folders() -> Iterator[Path]:
    spec = find_spec("data_store")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent


def _compared(path: Path, work: Path, counts: Counter[str]) -> Iterator[str]:
    """Show a file; gives what differs and is not known."""
    syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
    decoder = DECODERS[syntax].name if syntax in DECODERS else "none"
    counts["files"] += 1
    target, implicit = work / "decoded.dcm", work / "implicit.dcm"
    try:
        decoded(path, implicit, ImplicitVRLittleEndian)
        decoded(path, target, ExplicitVRLittleEndian)
    except PixelFault as fault:
        readers = [name for name, read in READERS.items() if _is_read(read, path, syntax, work)]
        counts["not decoded"] += 1
        _show(
            path.stem,
            syntax[17:],
            decoder,
            *("reads it" if name in readers else "" for name in READERS),
            "",
            str(fault),
        )
        if readers:
            yield from _unless_known(path, "gateway", f"{fault}; read by {', '.join(readers)}")
        return
    ours = picture(target)
    far = {name: _far(ours, partial(read, path, syntax, work)) for name, read in READERS.items()}
    far["Implicit VR"] = _far(ours, partial(picture, implicit))
    counts["compared"] += any(far[name] != "" for name in READERS)
    errors = _errors(target) - _errors(path) | _errors(implicit) - _errors(path)
    _show(path.stem, syntax[17:], decoder, *(far[name] for name in READERS), str(len(errors)), "")
    for who, difference_ in far.items():
        if difference_ not in ("", "0"):
            yield from _unless_known(path, who, difference_)
    for error in errors:
        yield from _unless_known(path, "dciodvfy", error)


def _unless_known(path: Path, who: str, what: str) -> Iterator[str]:
    for name, one, most in KNOWN:
        if who == one and re.search(name, path.stem) and (most is None or (what.isdigit() and int(what) <= most)):
            return
    yield f"{path.stem}: {who}: {what}"


def _is_read(read: Reader, path: Path, syntax: str, work: Path) -> bool:
    try:
        return read(path, syntax, work) is not None
    except Exception:  # of any kind: another library
        return False


def _far(ours: Picture, read: Callable[[], Picture | None]) -> str:
    """Empty: not read by them."""
    try:
        theirs = read()
        return "" if theirs is None else str(difference(ours, theirs))
    except Exception as error:  # of any kind: another library
        return f"{type(error).__name__} {error}"


def _errors(path: Path) -> set[str]:
    """Without values: what a wrong value is, before and after, is one error."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    return {_VALUE.sub("<>", line) for line in done.stderr.splitlines() if line.startswith("Error")}


def _show(*columns: str) -> None:
    print(" | ".join(columns), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
