from __future__ import annotations

import re

import pytest
from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.journey import STATIONS
from gateway.operations.state.components import Component
from gateway.records.identifiers import StudyInstanceUID
from gateway.records.work import Lane, delivery_to
from gateway.store import outbox, outbox_claims, outbox_listing
from tests.web.console.reader import shown
from tests.web.served import NINE, Served, add_delivery, add_message, add_refusal, whole_journey

HOSTILE = "<script>alert('x')</script>&\""


async def test_a_quiet_night(console: Served) -> None:
    await console.store.write(whole_journey)
    page = await shown(console)
    assert "Nothing is stuck." in page.html
    assert '<time datetime="2026-01-05T10:00:00' in page.html
    assert 'http-equiv="refresh"' in page.html
    assert all(script.startswith("/static/") for script in page.scripts)
    for link in page.links:
        async with console.session.get(console.base + link) as response:
            assert response.status == 200, link


async def test_the_page_says_what_is_stuck_and_why(console: Served) -> None:
    why = {"error": "HTTP 422: no such patient", "place": "http://ehr"}
    away = {"error": "HTTP 503", "place": "http://slow"}
    parked = await console.store.write(lambda c: add_delivery(c, at=NINE, kind="ehr:a", fate=Fate.PARK, outcome=why))
    late = await console.store.write(lambda c: add_delivery(c, at=NINE, kind="ehr:b", fate=Fate.RETRY, outcome=away))
    wrong = [{"place": "PID-3", "text": "the patient has no identifier"}]
    message = await console.store.write(lambda c: add_message(c, state="rejected", findings=wrong))
    failed = await console.store.write(lambda c: add_message(c, state="failed"))
    await console.store.write(lambda c: add_refusal(c, "larger than 10 MB"))

    async def components() -> dict[str, Component]:
        return {"worker": Component(False, "stopped at 3 a.m.")}

    console.components = components
    page = await shown(console)
    for words in (
        "Someone should look at this.", "http://ehr: HTTP 422: no such patient", "http://slow: HTTP 503",
        "PID-3: the patient has no identifier", "larger than 10 MB", "stopped at 3 a.m.",
        '<td data-label="kind">ehr:a</td>',
    ):  # fmt: skip
        assert words in page.html, words
    assert page.forms == [
        f"/api/deliveries/{parked}/retry", f"/api/deliveries/{late}/retry", f"/api/messages/{failed}/replay",
        f"/api/messages/{message}/replay",
    ]  # fmt: skip


async def test_the_button_tries_again_and_shows_the_page(console: Served) -> None:
    row = await console.store.write(lambda c: add_delivery(c, at=NINE, fate=Fate.PARK))
    headers = {"Accept": "text/html,*/*", "Origin": console.base}
    address = f"{console.base}/api/deliveries/{row}/retry"
    async with console.session.post(address, headers=headers, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/?notice=delivery_retried&n=1")
    (after,) = await console.store.read(outbox_listing.listing)
    assert after["state"] == "pending"


async def test_what_a_sender_wrote_is_never_markup(console: Served) -> None:
    wrong = [{"place": HOSTILE, "text": HOSTILE}]
    outcome = {"error": HOSTILE, "place": HOSTILE}
    await console.store.write(lambda c: add_message(c, state="rejected", findings=wrong))
    await console.store.write(
        lambda c: add_delivery(c, at=NINE, study_uid=HOSTILE, kind=f"ehr:{HOSTILE}", fate=Fate.PARK, outcome=outcome)
    )
    await console.store.write(lambda c: add_refusal(c, HOSTILE))

    async def components() -> dict[str, Component]:
        return {HOSTILE: Component(True, HOSTILE)}

    console.components = components
    page = await shown(console)
    assert "alert" not in "".join(page.scripts) + "".join(page.tags)
    assert all(script.startswith("/static/") for script in page.scripts)
    assert "&lt;script&gt;" in page.html
    assert all("<" not in link and '"' not in link for link in page.links)


async def test_the_policy_allows_no_script_and_no_style_but_the_files_of_the_console(console: Served) -> None:
    page = await shown(console)
    assert "script-src 'self'; style-src 'self';" in page.policy
    assert "unsafe" not in page.policy
    assert page.inline == []
    assert "style" not in page.tags


DAY = 24 * 3600 * 1_000_000
NOT_SERVED = [{"place": "MSH-9.1", "text": "message type 'ADT' is not served"}]


@pytest.mark.parametrize("state", ["rejected", "failed"])
async def test_a_message_that_was_not_applied_calls_for_somebody_for_a_week(console: Served, state: str) -> None:
    await console.store.write(lambda c: add_message(c, state=state))
    page = await shown(console)
    assert "Someone should look at this. (messages of the last 7 days were not applied: 1)" in page.html
    console.now += 7 * DAY
    page = await shown(console)
    assert "Nothing is stuck." in page.html
    assert len(page.forms) == 1


async def test_types_that_are_not_served_are_a_line_and_no_alarm(console: Served) -> None:
    def fill(connection: Connection) -> None:
        for minute in range(3):
            at = NINE + minute * 60 * 1_000_000
            add_message(connection, at=at, state="rejected", findings=NOT_SERVED, type="ADT^A08", unserved=True)

    await console.store.write(fill)
    page = await shown(console)
    assert "Nothing is stuck." in page.html
    assert "<p>3 ADT^A08: not served, last 2026-01-05T09:02:00Z</p>" in page.html
    assert page.forms == []


async def test_work_that_is_tried_again_and_again_calls_for_somebody(console: Served) -> None:
    def tried(connection: Connection, tries: range) -> None:
        for number in tries:
            at = NINE + number * 3600 * 1_000_000
            (work,) = outbox_claims.claim(connection, kind=delivery_to("b"), now=at, lease_micros=1_000_000, limit=1)
            outbox_claims.fail(connection, work, Fate.RETRY, now=at, due_at=at + 1, outcome={"error": "HTTP 503"})

    def begin(connection: Connection) -> None:
        outbox.enqueue(
            connection, lane=Lane(delivery_to("b"), StudyInstanceUID("1.2")), payload={}, due_at=NINE, now=NINE
        )
        tried(connection, range(4))

    await console.store.write(begin)
    assert "Nothing is stuck." in (await shown(console)).html
    await console.store.write(lambda c: tried(c, range(4, 5)))
    assert "Someone should look at this. (work was tried 5 times or more: 1)" in (await shown(console)).html


async def test_the_page_lists_the_stations_of_the_journey_in_order(console: Served) -> None:
    page = await shown(console)
    (listed,) = re.findall(r'<ol class="stations">(.*?)</ol>', page.html)
    assert tuple(re.findall(r"<li>(\w+)</li>", listed)) == STATIONS
