from __future__ import annotations

from functools import partial

from gateway.operations.scanner_worklist import ScannerWorklist, scanner_worklist
from gateway.store import refusals
from gateway.web.console.worklist import keys_text
from tests.operations.test_scanner_worklist import RULES, ask, fill, policy
from tests.web.console.reader import shown
from tests.web.served import NINE, Served


async def test_who_asks_and_who_does_not(console: Served) -> None:
    await console.store.write(ask)
    page = await shown(console, "/worklist")
    assert {"/worklist?scanner=CT1", "/worklist?scanner=MR1"} <= set(page.links)
    assert page.html.count("has not asked") == 1


async def test_the_worklist_of_a_scanner(console: Served) -> None:
    async def view(station: str, day: str) -> ScannerWorklist:
        read = partial(scanner_worklist, policy=policy(), rules=RULES, station=station, now=NINE, day=day)
        return await console.store.read(read)

    console.scanner_worklist = view
    await console.store.write(fill)
    await console.store.write(ask)
    await console.store.write(
        lambda c: refusals.add(c, refused_at=NINE, source="CT1 10.0.0.7", reason="context refused: XA", body=b"")
    )
    page = await shown(console, "/worklist?scanner=CT1")
    for words in (
        "Shown now: 2", "Not shown, of 2026-01-05: 2", "asked for ScheduledStationAETitle = CT1; it has MR1",
        "CANCELED steps are not shown", "Modality = CT", "context refused: XA", "0.9 ms",
    ):  # fmt: skip
        assert words in page.html, words
    assert not page.inline
    assert "Not shown, of 2026-01-07: 0" in (await shown(console, "/worklist?scanner=CT1&day=2026-01-07")).html


def test_the_keys_of_a_query_on_a_line() -> None:
    keys = {"PatientID": "", "AccessionNumber": "A1", "ScheduledProcedureStepSequence": [{"Modality": "CT", "X": ""}]}
    assert keys_text(keys) == "AccessionNumber = A1, Modality = CT"
    assert keys_text({"PatientID": ""}) == "no key: everything"
