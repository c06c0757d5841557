"""An instance with its pixels, as a file of the spool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that is on disk, and of which no row is written yet."""

    file: str
    """Its name in the folder of the spool."""
    size: int
    """Bytes of the file."""
    sha256: bytes
    """Of the data set as it came, without File Meta Information: tells a repetition from other pixels."""


@dataclass(frozen=True, slots=True)
class PixelFile:
    """The file of an instance."""

    id: int
    instance: int
    """Row of the instance."""
    sop_uid: str
    sop_class_uid: str
    file: str
    size: int
    sha256: bytes
    transfer_syntax_uid: str
    stored_at: int
    """Microseconds since 1970 UTC."""
    removed_at: int | None = None
    """When nobody needed the file any more; None: it is kept."""
    missing_at: int | None = None
    """When the file was looked for and was not there."""

    @property
    def is_kept(self) -> bool:
        """Whether the file is there, as far as is known."""
        return self.removed_at is None and self.missing_at is None
