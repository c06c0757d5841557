"""The page about the audit trail has the table of events that the program has."""

from __future__ import annotations

from pathlib import Path

from gateway.records.audit_codes import EVENTS, RECORDED

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def test_the_page_lists_what_is_recorded() -> None:
    _, _, table = PAGE.read_text(encoding="utf-8").partition("\n| event |")
    rows = [line for line in table.partition("\n\n")[0].splitlines() if line.startswith("| ")]
    assert rows == [
        f"| {EVENTS[one.kind].meaning} | {EVENTS[one.kind].code} | {one.actions} | {one.when} | {one.who} |"
        for one in RECORDED
    ]
