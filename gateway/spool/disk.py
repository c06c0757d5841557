"""What the spool does with its disk, beside writing files."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import Unavailable


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk. Raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: Path) -> int:
    """Of the disk, for those who are not root. Raises `OSError`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def no_disk(error: OSError) -> Unavailable:
    """The disk of the spool does not do what it should."""
    return Unavailable(f"the disk of the spool fails ({error.strerror or type(error).__name__})", place="spool")
