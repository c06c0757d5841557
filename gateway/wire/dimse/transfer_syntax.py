"""Transfer syntaxes of data sets without pixels (PS3.5 Annex A)."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom.filereader import read_dataset
from pynetdicom.dsutils import encode

from gateway.dicom_encoding import EXPLICIT_BIG, IMPLICIT_LITTLE
from gateway.wire.dimse.elements import DEFLATED


def is_explicit(transfer_syntax: str) -> bool:
    return transfer_syntax != IMPLICIT_LITTLE


def recoded(encoded: bytes, transfer_syntax: str) -> bytes:
    """A data set in explicit VR little endian, or implicit where that is the syntax, as the syntax wants it."""
    if transfer_syntax in DEFLATED:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        deflated = deflater.compress(encoded) + deflater.flush()
        return deflated + b"\0" * (len(deflated) % 2)
    if transfer_syntax == EXPLICIT_BIG:
        turned: bytes | None = encode(read_dataset(BytesIO(encoded), False, True), False, False)
        if turned is None:
            raise ValueError("cannot be written in big endian")
        return turned
    return encoded
