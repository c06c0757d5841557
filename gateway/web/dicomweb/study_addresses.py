"""Where studies, series and instances are found (PS3.18 Table 10.1.1-1)."""

from __future__ import annotations

from typing import Final

STUDIES: Final = "/studies"
"""Of all studies, below the base URI."""


def address_of(studies: str, study_uid: str, series_uid: str = "", sop_uid: str = "") -> str:
    """The address of a study, or of a series or an instance of it; `studies`: the address of all."""
    address = f"{studies}/{study_uid}"
    if series_uid:
        address += f"/series/{series_uid}"
    if sop_uid:
        address += f"/instances/{sop_uid}"
    return address
