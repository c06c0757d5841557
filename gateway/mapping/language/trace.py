"""Where each mapped value came from: what `gateway explain` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Trace:
    """One target, its value and its source."""

    level: str
    target: str
    value: Any
    source: str
    """The path that had the value, `default`, or `derived (name)`."""
    origin: str
    """`file:line` of the row."""
    remark: str = ""
    """What happened on the way: cut, translated by a table."""
