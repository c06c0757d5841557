"""Limits of the gateway which a busy machine meets in tests that are not about them: all workers of the tests share a
few cores, and what yields to others may have to wait for minutes."""

from __future__ import annotations

from gateway.pixels import pool
from gateway.wire.hl7 import structure

PATIENT_SECONDS = 600.0


def be_patient() -> None:
    """Let processes that this one starts take their time to load what they need, and to answer."""
    vars(pool)["PREVIEW_SECONDS"] = PATIENT_SECONDS
    vars(structure)["SECONDS"] = PATIENT_SECONDS
