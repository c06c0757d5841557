"""An instance on its way in: its encoded data set, and who brings it; what every source of studies makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.dicom_encoding import Encoded
from gateway.records.arrival import HeaderRank
from gateway.spool import SpoolFile


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brings instances."""

    name: str
    """A calling AE title, or the name of a source in the configuration."""
    address: str = ""
    """The sender's network address, where it has one."""
    transfer: object = field(default_factory=object, compare=False, repr=False)
    """What the audit trail accounts for together, by identity: an association, a request, a poll."""

    def __str__(self) -> str:
        return f"{self.name} {self.address}".rstrip()


@dataclass(frozen=True, slots=True)
class Incoming:
    """`data`: the encoded data set as it came, or its beginning where only headers are kept."""

    sender: Sender
    transfer_syntax_uid: str
    data: Encoded
    sop_class_uid: str = ""
    """As it was announced, which its data set must not contradict; empty: the data set alone names it."""
    sop_instance_uid: str = ""
    """The same."""
    study_instance_uid: str = ""
    """The same."""
    begins_at: int = 0
    """Where in `data` the data set begins."""
    rank: HeaderRank = HeaderRank.DATA_SET
    keeps_pixels: bool = True
    """False: only the header is kept, as of an instance that was fetched from the archive where its pixels are."""
    file: SpoolFile | None = field(default=None, compare=False)
    """The file of the spool that holds it already, of which `data` is a map."""
