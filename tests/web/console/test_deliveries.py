"""The page of what is sent: each receiver, each cause and each delivery with what a person may do about it."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from sqlalchemy import Connection

from gateway.errors import Fate
from gateway.records.receiver import Pause
from gateway.store import outbox_listing, pauses
from gateway.web.console import deliveries
from tests.web.console.reader import PageTags, shown
from tests.web.served import NINE, STUDY, Served, add_delivery

HOSTILE = "<script>alert('x')</script>&\""
REFUSED = {"error": "HTTP 422: no such patient", "place": "http://ehr"}


async def pressed(console: Served, path: str, *, back: str = "/deliveries", **fields: str) -> PageTags:
    """The page after a button of it was pressed."""
    headers = {"Accept": "text/html", "Origin": console.base}
    data = {"back": back, **fields}
    async with console.session.post(console.base + path, headers=headers, data=data, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        location = answer.headers["Location"]
    assert location.startswith("/deliveries?")
    return await shown(console, location)


def notice(page: PageTags) -> str:
    [text] = re.findall(r'<p class="notice" role="status">(.*?)</p>', page.html)
    return str(text)


async def test_an_empty_console(console: Served) -> None:
    page = await shown(console, "/deliveries")
    assert "Nothing is parked." in page.html
    assert page.forms == [
        "/api/receivers/main/pause", "/api/receivers/main/resend", "/api/receivers/ris/pause",
        "/api/receivers/pacs/pause",
    ]  # fmt: skip
    assert page.inline == []


async def test_a_receiver_is_paused_and_resumed(console: Served) -> None:
    page = await pressed(console, "/api/receivers/main/pause", note="upgrade <until> six")
    assert notice(page) == "Paused: nothing is sent there until it is resumed."
    assert "upgrade &lt;until&gt; six" in page.html
    assert "/api/receivers/main/resume" in page.forms
    page = await pressed(console, "/api/receivers/main/resume")
    assert notice(page) == "Resumed: what waited is being sent."
    assert await console.store.read(pauses.listing) == {}


async def test_what_is_parked_is_tried_again_or_given_up_by_cause(console: Served) -> None:
    for number in range(3):
        await console.store.write(
            partial(add_delivery, at=NINE, study_uid=f"1.2.{number}", fate=Fate.PARK, outcome=REFUSED)
        )
    page = await shown(console, "/deliveries")
    assert re.search(r'<td data-label="number"[^>]*><div>3<', page.html)
    assert "HTTP 422: no such patient" in page.html
    [give_up] = [one for one in page.forms if one.startswith("/api/causes/") and one.endswith("/give-up")]
    page = await pressed(console, give_up.replace("give-up", "retry"))
    assert notice(page) == "Tried again now: 3."
    rows = await console.store.read(outbox_listing.listing)
    assert {row["state"] for row in rows} == {"pending"}


async def test_one_delivery_is_given_up_with_its_note_and_taken_back(console: Served) -> None:
    row = await console.store.write(partial(add_delivery, at=NINE, fate=Fate.REJECT, outcome=REFUSED))
    page = await pressed(console, f"/api/deliveries/{row}/give-up", note="test patient")
    assert notice(page) == "Given up, with the note: 1."
    assert "test patient" in page.html
    assert "Nothing is parked." in page.html
    assert f'<a class="code" href="/studies/{STUDY}">' in page.html
    page = await pressed(console, f"/api/deliveries/{row}/retry")
    assert notice(page) == "The delivery is being tried again now."


async def test_all_of_a_receiver_is_tried_again(console: Served) -> None:
    def fill(connection: Connection) -> None:
        add_delivery(connection, at=NINE, study_uid="1.2.1", fate=Fate.PARK, outcome=REFUSED)
        add_delivery(connection, at=NINE, study_uid="1.2.2", fate=Fate.RETRY, outcome={"error": "HTTP 503"})
        add_delivery(connection, at=NINE, study_uid="1.2.3", kind="status:ris", fate=Fate.PARK, outcome=REFUSED)

    await console.store.write(fill)
    assert notice(await pressed(console, "/api/receivers/main/retry")) == "Tried again now: 2."
    rows = await console.store.read(partial(outbox_listing.listing, states=("parked",)))
    assert [row["kind"] for row in rows] == ["status:ris"]


async def test_everything_is_sent_again_since_a_day(console: Served) -> None:
    await console.store.write(partial(add_delivery, at=NINE))
    page = await pressed(console, "/api/receivers/main/resend", since="2026-01-05")
    assert notice(page) == "Sent once more, at the rate that was given: 1."
    assert "Sent everything again 0 s ago: 1 deliveries" in page.html
    page = await pressed(console, "/api/receivers/main/resend", since="2026-01-06")
    assert notice(page) == "Sent once more, at the rate that was given: 0."


async def test_filters_and_pages(console: Served, monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "SHOWN", 2)

    def fill(connection: Connection) -> None:
        for number in range(5):
            add_delivery(connection, at=NINE, study_uid=f"1.2.{number}", fate=Fate.PARK, outcome=REFUSED)
        add_delivery(connection, at=NINE, study_uid="1.2.9", kind="settle")

    await console.store.write(fill)
    page = await shown(console, "/deliveries?receiver=main&state=parked")
    assert "2 of 5 shown" in page.html
    [older] = [link for link in page.links if "before=" in link]
    assert older == "/deliveries?receiver=main&state=parked&before=4"
    page = await shown(console, older)
    assert re.findall(r'"delivery"[^>]*><div>d(\d+) ', page.html) == ["3", "2"]
    page = await shown(console, "/deliveries?receiver=.")
    assert re.findall(r'"delivery"[^>]*><div>d(\d+) ', page.html) == ["6"]
    assert "1 of 1 shown" in page.html
    await shown(console, "/deliveries?receiver=nobody", status=404)


async def test_what_others_wrote_is_never_markup(console: Served) -> None:
    outcome = {
        "error": HOSTILE,
        "place": HOSTILE,
        "issues": [dict.fromkeys(("severity", "code", "text", "path"), HOSTILE)],
    }
    await console.store.write(
        partial(add_delivery, at=NINE, study_uid=HOSTILE, kind=f"ehr:{HOSTILE}", fate=Fate.PARK, outcome=outcome)
    )
    await console.store.write(partial(pauses.begin, wanted=[Pause("main", NINE, HOSTILE, HOSTILE)]))
    page = await shown(console, "/deliveries")
    assert all(script.startswith("/static/") for script in page.scripts)
    assert "&lt;script&gt;" in page.html
    assert all("<" not in link and '"' not in link for link in page.links)
