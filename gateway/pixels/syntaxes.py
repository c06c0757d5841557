"""Transfer syntaxes by what they do to a data set and to its pixels (PS3.5 Annex A)."""

from __future__ import annotations

from typing import Final

from gateway.dicom_encoding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
ENCAPSULATED_UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
RLE: Final = "1.2.840.10008.1.2.5"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_FIRST_ORDER: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS: Final = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR: Final = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
JPEG_XL_LOSSLESS: Final = "1.2.840.10008.1.2.4.110"
JPEG_XL_RECOMPRESSED: Final = "1.2.840.10008.1.2.4.111"
JPEG_XL: Final = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"

NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG})
"""Pixels stand in the data set as they are."""
TARGETS: Final = {IMPLICIT_LITTLE: Encoding(True, True), EXPLICIT_LITTLE: Encoding(False, True)}
"""What an instance is decoded to."""
