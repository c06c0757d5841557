"""Section `studies`."""

from __future__ import annotations

from typing import Literal

from gateway.config.fields import SecondsOrNone, Section


class Studies(Section):
    quiet_seconds: SecondsOrNone = 30.0
    """A study settles when no instance has come for this long."""
    longest_wait_seconds: SecondsOrNone = 600.0
    """A study of which instances keep coming settles at least so often."""
    storage: Literal["headers"] = "headers"
