"""The files that pydicom itself ships."""

from __future__ import annotations

from pathlib import Path

import pydicom.data
from pydicom.data import get_testdata_files


def shipped_files() -> list[Path]:
    """Sorted; without those that another package adds (pydicom-data, which `make objects` installs), of which some are
    too large to be kept in memory."""
    own = Path(pydicom.data.__file__).parent
    return sorted(path for name in get_testdata_files() if own in (path := Path(name)).parents and path.is_file())
