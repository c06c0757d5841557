"""An instance as a source brings it: what every source of studies fills, whatever its protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from gateway.records.finding import Finding
from gateway.records.identifiers import SeriesInstanceUID, SOPInstanceUID, StudyInstanceUID
from gateway.records.moved_instance import Former
from gateway.records.order import Attributes
from gateway.records.pixel_file import StoredFile


class HeaderRank(IntEnum):
    """How much of an instance its source gives. A header takes the place of one that gives as much or less, and never
    of one that gives more: of an instance that was stored here an archive's answer to a query changes nothing."""

    QUERY = 1
    """Attributes that an archive answers to a query (C-FIND, QIDO-RS)."""
    METADATA = 2
    """All attributes, written anew by an archive (WADO-RS metadata)."""
    DATA_SET = 3
    """The data set itself, as it was stored or retrieved (C-STORE, STOW-RS, C-GET, WADO-RS)."""

    def takes_the_place_of(self, held: HeaderRank) -> bool:
        """Whether a header of this rank replaces what is held of the same instance."""
        return self >= held


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
    rank: HeaderRank = HeaderRank.DATA_SET
    findings: tuple[Finding, ...] = ()
    """What could not be read of it and was left out."""
    former: tuple[Former, ...] = ()
    """UIDs that the instance states to have had before."""
    stored: StoredFile | None = None
    """Its file in the spool, with the pixels; None: only the header is kept."""

    @property
    def levels(self) -> dict[str, Attributes]:
        """Its attributes by level."""
        return {"study": self.study, "series": self.series, "instance": self.instance}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the arrival of an instance has changed."""

    instance: int
    """Its row."""
    is_new: bool
    """What is stated of its study may have changed."""
    has_new_file: bool = False
    """Its pixels came for the first time, or with other content than before."""
    is_stated: bool = False
    """Something is stated of how much its study holds."""
