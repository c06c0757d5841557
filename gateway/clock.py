"""The application's clock: every time that orders work comes from here, never from the database."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""


def now() -> int:
    """The system's clock."""
    return time.time_ns() // 1000
