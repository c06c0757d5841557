"""What came of reading the files of the configuration anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Either all that can be reloaded is in force as the files have it, or nothing has changed."""

    at: int
    """Microseconds since 1970 UTC."""
    faults: Sequence[str] = ()
    """Why nothing was reloaded."""
    waits_for_restart: Sequence[str] = ()
    """Keys that have changed since the start, and that only a restart puts in force."""

    @property
    def is_in_force(self) -> bool:
        return not self.faults
