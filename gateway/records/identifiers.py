"""Identifiers of DICOM, each of its own type: a study's UID in place of an accession number is a fault of types."""

from __future__ import annotations

from typing import Final, NewType

LONGEST_UID: Final = 64
"""Characters of any UID (PS3.5 9)."""
LONGEST_LOOKED_FOR: Final = 200
"""Characters of what rows are looked for by: an index of PostgreSQL takes no entry of some kilobytes."""

StudyInstanceUID = NewType("StudyInstanceUID", str)
"""(0020,000D)."""
SeriesInstanceUID = NewType("SeriesInstanceUID", str)
"""(0020,000E)."""
SOPInstanceUID = NewType("SOPInstanceUID", str)
"""(0008,0018)."""
AccessionNumber = NewType("AccessionNumber", str)
"""(0008,0050); whose it is, its issuer tells."""


def looked_for(identifier: str) -> str:
    """An identifier as rows are looked for by it; what is too long to be any is none."""
    return identifier if len(identifier) <= LONGEST_LOOKED_FOR else ""
