"""Section `worklist`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.config.fields import Section


class WorklistSection(Section):
    expire_after_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    """So many days after its day a step that nobody has begun is not shown any more; null: it is, until it is begun,
    ended or cancelled."""
