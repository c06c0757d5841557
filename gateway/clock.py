"""The application's clock: every time that orders work comes from here, never from the database."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, tzinfo

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""


def now() -> int:
    """The system's clock."""
    return time.time_ns() // 1000


def local_day(moment: int, zone: tzinfo) -> date:
    """The day on which a moment falls in a zone."""
    return datetime.fromtimestamp(moment / 1_000_000, zone).date()
