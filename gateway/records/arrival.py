"""An instance as a source brings it: what every source of studies fills, whatever its protocol."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.order import Attributes
from gateway.records.pixel_file import StoredFile


@dataclass(frozen=True, slots=True)
class InstanceArrival:
    """One SOP instance with the attributes of its study and series, as its own data set has them."""

    study_uid: StudyInstanceUID
    study: Attributes
    series_uid: SeriesInstanceUID
    series: Attributes
    sop_uid: SOPInstanceUID
    sop_class_uid: str
    instance: Attributes
    transfer_syntax_uid: str
    """How `header` is encoded."""
    header: bytes
    """The encoded elements before the pixel data, compressed (zlib)."""
    digest: bytes
    """SHA-256 of the elements that `header` holds: tells a repetition from a correction."""
    source_ae: str
    """Who sent the instance: a calling AE title, or the name of another source."""
    received_at: int
    """Microseconds since 1970 UTC."""
    findings: tuple[Finding, ...] = ()
    """What could not be read of it and was left out."""
    stored: StoredFile | None = None
    """Its file in the spool, with the pixels; None: only the header is kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the arrival of an instance has changed."""

    instance: int
    """Its row."""
    is_new: bool
    """What is stated of its study may have changed."""
    has_new_file: bool = False
    """Its pixels came for the first time, or with other content than before."""
