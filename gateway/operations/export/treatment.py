"""What is done with a value before it leaves, and the options of the profile (PS3.15 E.2 and E.3, CID 7050)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Treatment(StrEnum):
    KEPT = "kept"
    """As it is: a value of a closed list, a small number, or a length of time."""
    PSEUDONYM = "pseudonym"
    """A word made of the value by the key; equal values have equal words."""
    REPLACED_UID = "replaced UID"
    """A UID below 2.25 made of the UID by the key."""
    SHIFTED = "shifted"
    """A moment, earlier by the patient's number of days."""
    COARSE = "coarse"
    """A number of which high values are given as one."""
    LEFT_OUT = "left out"


class Retained(StrEnum):
    """What a person may decide to keep beside the profile."""

    DEVICE = "device"
    """AE titles, station names, manufacturers and models of devices."""
    INSTITUTION = "institution"
    """Names of senders, institutions and departments."""


PROFILE: Final = ("113100", "Basic Application Confidentiality Profile")
ALWAYS: Final = (
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
OPTIONS: Final = {
    Retained.DEVICE: ("113109", "Retain Device Identity Option"),
    Retained.INSTITUTION: ("113112", "Retain Institution Identity Option"),
}
"""Code and meaning (PS3.16 CID 7050)."""
