"""Encodings of FHIR requests: gzip, escaped ids."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import quote

Gzip = Literal["auto", "always", "never"]

COMPRESSED_BYTES: Final = 1400
"""A body that fits one packet is sent as it is."""


def takes_gzip(encodings: str) -> bool:
    """Whether an Accept-Encoding (RFC 9110 12.5.3) names gzip, and not with the quality 0."""
    for one in encodings.lower().split(","):
        name, _, quality = one.replace(" ", "").partition(";q=")
        if name in ("gzip", "x-gzip", "*"):
            return not re.fullmatch(r"0(\.0*)?", quality)
    return False


def escape(identifier: str) -> str:
    """Only the bar is encoded: servers that key their locks on the text of the URL must see one spelling of it."""
    return quote(identifier, safe=":.-_~")
