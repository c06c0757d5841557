"""Section `studies`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.config.fields import Section


class Studies(Section):
    quiet_seconds: Annotated[float, Field(ge=0)] = 30.0
    """A study settles when no instance has come for this long."""
    longest_wait_seconds: Annotated[float, Field(ge=0)] = 600.0
    """A study of which instances keep coming settles at least so often."""
    storage: Literal["headers"] = "headers"
