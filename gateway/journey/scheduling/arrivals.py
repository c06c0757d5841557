"""When a patient last arrived, as the patient's row keeps it."""

from __future__ import annotations

from typing import Any, Final

from gateway.records.imaging_order import Arrival
from gateway.store.statement import Row

KEPT_ARRIVALS: Final = 20


def latest(arrivals: list[list[Any]]) -> list[list[Any]]:
    """Those that are kept."""
    return sorted(arrivals)[-KEPT_ARRIVALS:]


def arrivals_of(row: Row) -> list[Arrival]:
    """When a patient last arrived, the latest at the end."""
    return [Arrival(at, day) for at, day in row["arrivals"]]
