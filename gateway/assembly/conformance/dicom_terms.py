"""Attributes of the data dictionary as a statement writes them."""

from __future__ import annotations

from pydicom.datadict import dictionary_description, tag_for_keyword


def number_of(keyword: str) -> int:
    """The tag of a keyword of the dictionary."""
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return int(tag)


def name_of(keyword: str) -> str:
    """`Patient ID` of `PatientID`."""
    return dictionary_description(number_of(keyword))


def tag_of(keyword: str) -> str:
    """`(0010,0020)` of `PatientID`."""
    return shown(number_of(keyword))


def shown(tag: int) -> str:
    """`(0010,0020)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
