"""How far deleting by age is, and erasures that have not ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.operations.retention_view import kinds_kept
from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments


@dataclass(frozen=True, slots=True)
class RetentionKept:
    """What the database has of it."""

    last: Mapping[str, Any] | None
    """The newest run."""
    erasures: int
    """Those that have not ended."""
    holds: int
    """Legal holds in force."""


def retention_part(kept: RetentionKept, has_ages: bool, now: int) -> Part:
    """Whether anything is deleted, what the last run did, and what calls for a person."""
    run = kept.last
    shown = kinds_kept(run["tallies"]) if run is not None else []
    deleted = sum(sum(one.deleted.values()) for one in shown)
    failed = sum(len(one.failed) for one in shown)
    begun_at, ended_at = (None, None) if run is None else (run["begun_at"], run["ended_at"])
    facts = [
        *moments(last_run=begun_at, ended=ended_at),
        Fact("rows deleted", deleted, Form.COUNT),
        Fact("old rows that stay", sum(sum(one.stayed.values()) for one in shown), Form.COUNT),
        Fact("could not be deleted", failed, Form.COUNT),
        Fact("legal holds", kept.holds, Form.COUNT),
    ]
    if kept.erasures:
        detail = "the erasure of a patient has not ended: 'gateway erase --continue'"
        return Part(Kind.RETENTION, "", Level.WARN, detail, facts)
    if failed:
        return Part(Kind.RETENTION, "", Level.WARN, f"{failed} rows could not be deleted; the log names them", facts)
    if not has_ages:
        return Part(Kind.RETENTION, "", Level.GOOD, "nothing is deleted: no age is set", facts)
    if run is None:
        return Part(Kind.RETENTION, "", Level.GOOD, "nothing was deleted yet", facts)
    if run["ended_at"] is None and run["lease_until"] > now:
        return Part(Kind.RETENTION, "", Level.GOOD, f"deletes {run['kind'].replace('_', ' ')}", facts)
    return Part(Kind.RETENTION, "", Level.GOOD, "is done for today" if run["ended_at"] else "was broken off", facts)
