"""A DICOM file (PS3.10 7.1), mapped and not read: what is not looked at takes no memory."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from gateway.dicom_encoding import Encoded, Encoding, encoding_of
from gateway.pixels.elements import Element, coding_at, element_at
from gateway.pixels.faults import BrokenPixels, TooManyPixels
from gateway.pixels.syntaxes import DEFLATED

META: Final = Encoding(implicit=False, little=True)
_TRANSFER_SYNTAX: Final = 0x00020010
_CHUNK: Final = 1 << 20
MOST_INFLATED: Final = 4 << 30
"""Bytes of a data set that is deflated as a whole."""


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A file that is open."""

    data: Encoded
    at: int
    """Where the data set begins."""
    end: int
    syntax: str
    encoding: Encoding
    meta: list[tuple[int, str, bytes]]
    """File Meta Information without its length: tag, VR, value."""
    source: BinaryIO
    """The file whose bytes `data` are."""

    def read(self, at: int, length: int) -> bytes:
        """Bytes of a frame or another large value: read, not mapped, so that they do not stay."""
        return os.pread(self.source.fileno(), length, at)


@contextmanager
def opened(path: Path, most_inflated: int = MOST_INFLATED, most_mapped: int = 0) -> Iterator[DicomFile]:
    """The file at `path`; a deflated data set is inflated into a nameless temporary file beside it. `most_mapped`: so
    many bytes can be walked over, 0: all.

    Raises `BrokenPixels` for what is no DICOM file, `TooManyPixels` for what inflates without end or is too large.
    """
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("rb"))
        if path.stat().st_size < 132 or file.read(132)[128:] != b"DICM":
            raise BrokenPixels("not a DICOM file: no DICM after the preamble", place="file")
        data, end = stack.enter_context(_mapped(file, most_mapped)), path.stat().st_size
        meta, at = _meta(data)
        stated = next((value for tag, _, value in meta if tag == _TRANSFER_SYNTAX), b"")
        syntax = stated.rstrip(b"\0 ").decode("ascii", "replace")
        if syntax == DEFLATED:
            file = stack.enter_context(_inflated(file, at, path.parent, most_inflated))
            data, at, end = stack.enter_context(_mapped(file, most_mapped)), 0, os.fstat(file.fileno()).st_size
        yield DicomFile(data, at, end, syntax, coding_at(data, at, encoding_of(syntax)), meta, file)


def _mapped(file: BinaryIO, most: int) -> mmap.mmap:
    """Raises `TooManyPixels` for what the address space has no room for: of a disk that would be a passing fault."""
    size = os.fstat(file.fileno()).st_size
    try:
        return mmap.mmap(file.fileno(), min(size, most or size), access=mmap.ACCESS_READ)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise TooManyPixels(f"a file of {size} bytes is too large to be worked on", place="file") from error


def _meta(data: mmap.mmap) -> tuple[list[tuple[int, str, bytes]], int]:
    found: list[tuple[int, str, bytes]] = []
    at = 132
    while at + 8 <= len(data) and data[at : at + 2] == b"\x02\x00":
        element: Element = element_at(data, at, len(data), META)
        at = element.at + element.length
        if element.tag != 0x00020000:
            found.append((element.tag, element.vr, data[element.at : at]))
    return found, at


def _inflated(file: BinaryIO, at: int, folder: Path, most: int) -> BinaryIO:
    """The rest of `file`, inflated (PS3.5 A.5), in `folder`: patients' data stay where the site keeps them."""
    target = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  the caller closes it
    try:
        inflator = zlib.decompressobj(-zlib.MAX_WBITS)
        file.seek(at)
        while chunk := (inflator.unconsumed_tail or file.read(_CHUNK)):
            target.write(inflator.decompress(chunk, _CHUNK))
            if target.tell() > most:
                raise TooManyPixels(f"the deflated data set has more than {most} bytes", place="data set")
        target.write(inflator.flush())
        target.flush()
    except zlib.error as error:
        target.close()
        raise BrokenPixels("the deflated data set cannot be inflated", place="data set") from error
    except BaseException:
        target.close()
        raise
    return target
