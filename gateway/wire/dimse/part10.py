"""Files in the DICOM File Format (PS3.10 ch. 7), and bare data sets as some programs write them."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.errors import Malformed
from gateway.wire.dimse.text import mend_texts

_PREAMBLE: Final = 128
_HEADER: Final = 8
"""Bytes of an element before its value; where none of them is left, the data set ends as it should."""


class _Watched(BytesIO):
    """Notes whether less was there than an element's header or length promises: pydicom takes what there is."""

    ends_too_soon = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is not None and len(found) < size and (found or size != _HEADER):
            self.ends_too_soon = True
        return found


def is_file(raw: bytes) -> bool:
    """Whether the bytes begin as PS3.10 7.1 says."""
    return raw[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def read(raw: bytes) -> Dataset:
    """The data set with every value converted; without File Meta Information it is taken for implicit or explicit VR
    little endian, whichever it looks like. Raises `Malformed`, for a file that was cut off too."""
    file = _Watched(raw)
    try:
        dataset = dcmread(file, force=True)
        dataset.walk(lambda _dataset, _element: None)
        mend_texts(dataset)
    except Exception as error:  # pydicom raises whatever its parsers met
        raise Malformed(f"cannot be read as DICOM ({type(error).__name__})", place="data set") from error
    if not dataset:
        raise Malformed("holds no DICOM data set", place="data set")
    if file.ends_too_soon:
        raise Malformed("ends in the middle of an element; the file was cut off", place="data set")
    return dataset
