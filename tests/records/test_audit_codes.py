"""The page about the audit trail has the table of events that the program has."""

from __future__ import annotations

from pathlib import Path

from gateway.records.audit_codes import EVENTS, RECORDED

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def test_the_page_lists_what_is_recorded() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| event |")]
    assert rows == [
        f"| {EVENTS[one.kind].meaning} | {EVENTS[one.kind].code} | {one.actions} | {one.when} | {one.who} |"
        for one in RECORDED
    ]
