"""Repositories of the audit trail: there or away, how much waits."""

from __future__ import annotations

from typing import Final

from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments
from gateway.store.audit_listing import RepositoryStanding

SOON_MICROS: Final = 15 * 60 * 1_000_000
"""A repository that is away for so long needs a person."""


def repository_part(standing: RepositoryStanding, now: int) -> Part:
    """How a repository is."""
    facts = (
        *moments(away_since=standing.away_since, sent_last=standing.sent_at),
        Fact("events waiting", standing.waiting, Form.COUNT),
        Fact("events never sent", standing.skipped, Form.COUNT),
    )
    if standing.away_since is None:
        return Part(Kind.AUDIT, standing.name, Level.GOOD, "takes audit messages", facts, "/audit")
    level = Level.BAD if now - standing.away_since > SOON_MICROS else Level.WARN
    return Part(Kind.AUDIT, standing.name, level, f"is away: {standing.reason}", facts, "/audit")
