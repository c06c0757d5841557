"""What a site and a source say of themselves, for the reading of their messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site and a source say of themselves."""

    zone: ZoneInfo
    """The zone in which dates and times are written into DICOM."""
    patient_id_issuer: str = ""
    site_name: str = ""
    source_name: str = ""
    station_aes: tuple[str, ...] = ()
    message_zone: tzinfo | None = None
    """The offset of MSH-7, in which the message's other times without one are meant (HL7 2.5.1 ch. 2.15.9.7); None:
    `zone`."""
    patient_id_types: tuple[str, ...] = ("MR", "PI", "PT")
    """HL7 table 0203: the types of identifier that a Patient ID may have, the best first."""
    without_modality: Literal["reject", "store"] = "reject"
    """What to do with an order that has no modality of the table: refuse it, or keep it as no imaging order."""
