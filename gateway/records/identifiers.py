"""Identifiers of DICOM, each of its own type: a study's UID in place of an accession number is a fault of types."""

from __future__ import annotations

from typing import Final, NewType

LONGEST_UID: Final = 64
"""Characters of any UID (PS3.5 9)."""

StudyInstanceUID = NewType("StudyInstanceUID", str)
"""(0020,000D)."""
SeriesInstanceUID = NewType("SeriesInstanceUID", str)
"""(0020,000E)."""
SOPInstanceUID = NewType("SOPInstanceUID", str)
"""(0008,0018)."""
AccessionNumber = NewType("AccessionNumber", str)
"""(0008,0050); whose it is, its issuer tells."""
