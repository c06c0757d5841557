"""The EHRs that get studies, and what each would get of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.records.study import IN_FULL, Shape


@dataclass(frozen=True, slots=True)
class EhrTarget:
    """One EHR and the form in which it wants a study."""

    name: str
    shape: Shape = IN_FULL
    creates_patients: bool = False
    """It lets us make the Patients that it does not know."""


@dataclass(frozen=True, slots=True)
class ResourcePreview:
    """What an EHR would be sent of a study as it stands."""

    ehr: str
    resource: dict[str, Any] | None
    fault: str = ""
    """Why there is none."""
