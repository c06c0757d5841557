"""The page Audit: events by who, what, patient and day; files; each look is recorded."""

from __future__ import annotations

from gateway.store import audit, audit_positions
from tests.operations.audit.events import EVENTS, MOMENT, faults
from tests.store.test_audit import recorded
from tests.web.served import Served


async def _filled(console: Served) -> None:
    await console.store.write(recorded(*EVENTS))
    await console.store.write(audit.seal)


async def _text(console: Served, path: str) -> str:
    headers = {"Accept": "text/html"}
    async with console.session.get(console.base + path, headers=headers) as response:
        assert response.status == 200, path
        return await response.text()


async def test_events_are_found_by_who_what_patient_and_day(console: Served) -> None:
    await _filled(console)
    whole = await _text(console, "/audit")
    assert f"{len(EVENTS)} events are chained" in whole
    assert "&lt;looked&gt; &amp; left" in whole
    assert "RIS|HOSP" in whole
    of_scanner = await _text(console, "/audit?who=CT1")
    assert of_scanner.count("<tr data-row>") == 4
    assert (await _text(console, "/audit?patient=P2")).count("<tr data-row>") == 1
    assert (await _text(console, "/audit?what=query")).count("<tr data-row>") == 1
    assert (await _text(console, "/audit?day=2026-11-30")).count("<tr data-row>") == len(EVENTS)
    assert (await _text(console, "/audit?day=2026-12-01")).count("<tr data-row>") == 0
    assert MOMENT


async def test_files_hold_what_is_wanted(console: Served) -> None:
    await _filled(console)
    csv = await _text(console, "/audit/export?who=CT1&format=csv")
    assert len(csv.splitlines()) == 5
    messages = await _text(console, "/audit/export?format=dicom")
    assert [fault for line in messages.splitlines() for fault in faults(line.encode())] == []


async def test_a_repository_that_is_away_is_shown(console: Served) -> None:
    await _filled(console)
    await console.store.write(lambda c: audit_positions.claim(c, "siem", "a", now=1, until=2))
    await console.store.write(lambda c: audit_positions.fail(c, "siem", "refused", since=MOMENT))
    await console.store.write(recorded(EVENTS[0]))
    await console.store.write(audit.seal)
    text = await _text(console, "/audit")
    assert "Repository siem is away since" in text
    assert "1 events wait" in text
