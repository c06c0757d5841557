"""A file in the DICOM File Format (PS3.10 ch. 7) on disk: what its File Meta Information names, and its data set in
pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info as read_file_meta
from pydicom.filereader import read_preamble

from gateway.errors import Malformed, NeedsPerson, RequiredMissing

PIECE_BYTES: Final = 1024 * 1024
_NAMES: Final = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")


@dataclass(frozen=True, slots=True)
class Part10File:
    """What is needed to send a file."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def read_part10(path: Path) -> Part10File:
    """The File Meta Information of a file. Blocks.

    Raises `NeedsPerson` for a file that cannot be read, `Malformed` for one in another format, `RequiredMissing` where
    the meta information lacks one of the three UIDs.
    """
    file, meta = _opened(path)
    file.close()
    for name in _NAMES:
        if not meta.get(name):
            raise RequiredMissing(f"the File Meta Information has no {name}", place=str(path))
    return Part10File(path, *(str(meta[name].value) for name in _NAMES))


async def pieces_of(path: Path) -> AsyncIterator[bytes]:
    """The data set of a file, behind its File Meta Information, in pieces of at most `PIECE_BYTES`.

    Raises what `read_part10` raises.
    """
    file, _ = await asyncio.to_thread(_opened, path)
    try:
        while piece := await asyncio.to_thread(_read, file):
            yield piece
    finally:
        file.close()


def _read(file: BufferedReader) -> bytes:
    try:
        return file.read(PIECE_BYTES)
    except OSError as error:
        raise _unreadable(Path(file.name), error) from error


def _opened(path: Path) -> tuple[BufferedReader, FileMetaDataset]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        read_preamble(file, force=False)
        return file, FileMetaDataset(read_file_meta(file))
    except OSError as error:
        file.close()
        raise _unreadable(path, error) from error
    except Exception as error:  # pydicom raises whatever its parsers met
        file.close()
        raise Malformed(f"not a file in the DICOM File Format ({type(error).__name__})", place=str(path)) from error


def _unreadable(path: Path, error: OSError) -> NeedsPerson:
    return NeedsPerson(f"cannot be read ({error.strerror})", place=str(path))
