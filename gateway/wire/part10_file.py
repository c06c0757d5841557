"""A file in the DICOM File Format (PS3.10 ch. 7) on disk, and its data set in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from pydicom.filereader import _read_file_meta_info as read_file_meta
from pydicom.filereader import read_preamble
from pydicom.uid import ExplicitVRLittleEndian

from gateway.errors import NeedsPerson

PIECE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part10File:
    """What is needed to send a file: what its File Meta Information says."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


async def pieces_of(path: Path, *, whole: bool = False) -> AsyncIterator[bytes]:
    """The data set of a file, behind its File Meta Information, in pieces of at most `PIECE_BYTES`; `whole`: the file.

    Raises `NeedsPerson` for a file that cannot be read, or is in another format.
    """
    file = await asyncio.to_thread(_opened, path, whole)
    try:
        while piece := await asyncio.to_thread(_read, file):
            yield piece
    finally:
        file.close()


def data_set_of(path: Path) -> tuple[str, int]:
    """Transfer Syntax UID of a file, and where its data set begins. Raises `InvalidDicomError` and `OSError`."""
    with path.open("rb") as file:
        read_preamble(file, force=False)
        meta = read_file_meta(file)
        return str(meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)), file.tell()


def _read(file: BufferedReader) -> bytes:
    try:
        return file.read(PIECE_BYTES)
    except OSError as error:
        raise _unreadable(Path(file.name), error) from error


def _opened(path: Path, whole: bool) -> BufferedReader:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        read_preamble(file, force=False)
        read_file_meta(file)
        if whole:
            file.seek(0)
    except OSError as error:
        file.close()
        raise _unreadable(path, error) from error
    except Exception as error:  # pydicom raises whatever its parsers met
        file.close()
        raise NeedsPerson(f"not a file in the DICOM File Format ({type(error).__name__})", place=str(path)) from error
    return file


def _unreadable(path: Path, error: OSError) -> NeedsPerson:
    return NeedsPerson(f"cannot be read ({error.strerror})", place=str(path))
