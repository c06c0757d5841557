"""Data sets as bytes, in the transfer syntax of a presentation context."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pynetdicom.dsutils import encode

from gateway.dicom_encoding import EXPLICIT_BIG, IMPLICIT_LITTLE
from gateway.wire.dimse.elements import DEFLATED
from gateway.wire.dimse.statuses import CANNOT_ENCODE, DimseFailure


def encoded_dataset(dataset: Dataset, transfer_syntax: str) -> bytes:
    """Raises `DimseFailure` for a data set that cannot be encoded."""
    encoded: bytes | None = encode(
        dataset,
        is_implicit_vr=transfer_syntax == IMPLICIT_LITTLE,
        is_little_endian=transfer_syntax != EXPLICIT_BIG,
        deflated=transfer_syntax in DEFLATED,
    )
    if encoded is None:
        raise DimseFailure(CANNOT_ENCODE, "an answer cannot be encoded")
    return encoded
