"""The chain of the audit trail: whole or broken, as the check in the background sees it."""

from __future__ import annotations

from typing import Final

from gateway.operations.audit.watching import ChainStanding
from gateway.operations.state.part import Fact, Form, Kind, Level, Part, moments

PAGE: Final = "/audit"


def chain_part(standing: ChainStanding) -> Part:
    """How the chain is; a broken chain is bad until a later check finds it whole."""
    facts = (
        *moments(broken_since=standing.fault_since, newest_checked=standing.newest_at, all_checked=standing.whole_at),
        Fact("rows", standing.rows, Form.COUNT),
    )
    if standing.fault is not None:
        return Part(Kind.CHAIN, "", Level.BAD, f"the audit trail is broken at {standing.fault}", facts, PAGE)
    was_checked = standing.newest_at is not None or standing.whole_at is not None
    detail = "the audit trail is whole" if was_checked else "was not checked yet"
    return Part(Kind.CHAIN, "", Level.GOOD, detail, facts, PAGE)
