"""A link between a performed and a scheduled step that a person made or took away."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.records.performed_matching import Candidate


class LinkAction(StrEnum):
    LINK = "link"
    UNLINK = "unlink"


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Who did what, when and why."""

    action: LinkAction
    target: Candidate
    person: str
    reason: str
    """In the person's words; may be empty."""
    changed_at: int
    """Microseconds since 1970."""
