"""Section `reconcile`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.config.fields import Hours, Section


class ReconcileSection(Section):
    """Once a day archive, gateway and EHRs are compared."""

    days: Annotated[int, Field(ge=1, le=3660)] | None = None
    """Studies of so many days, today among them; None: nothing is compared unless a person asks."""
    fix: bool = False
    """What is missing or different is read or delivered once more."""
    hours: Hours | None = None
    """When a comparison begins; None: at any time."""
