"""Section `performed_steps`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.config.fields import Section

Hours = Annotated[float, Field(gt=0, le=87_600)]
"""Up to ten years."""
Modality = Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,16}$")]


class PerformedStepsSection(Section):
    silent_hours: Hours = 12.0
    """An examination that is IN PROGRESS without N-SET and images for so long is listed and counted as silent."""
    silent_hours_of: dict[Modality, Hours] = {}
    """Modality -> its own hours."""
    close_silent: bool = False
    """Whether such an examination ends its scheduled steps, as discontinued."""
