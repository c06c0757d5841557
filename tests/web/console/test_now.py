from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import StreamReader

from gateway.errors import Fate
from gateway.operations.state.components import Component
from gateway.store import outbox_listing
from gateway.web.console.now import SECTIONS
from tests.web.console.reader import shown
from tests.web.served import NINE, Served, add_delivery, add_message, add_refusal, whole_journey

HOSTILE = "<script>alert('x')</script>&\""


async def test_a_quiet_night(console: Served) -> None:
    await console.store.write(whole_journey)
    page = await shown(console)
    assert "Nothing is stuck." in page.html
    assert '<time datetime="2026-01-05T09:00:00' in page.html
    assert '<noscript><meta http-equiv="refresh"' in page.html
    assert all(script.startswith("/static/") for script in page.scripts)
    assert [name for name, _ in SECTIONS] == re.findall(r"<h2>(.*?)</h2>", page.html)[:3]
    assert page.html.count("<svg") == 5


async def test_the_page_says_what_calls_for_a_person_and_where_it_is_cured(console: Served) -> None:
    why = {"error": "HTTP 422: no such patient", "place": "http://ehr"}
    console.receivers = ("main",)
    await console.store.write(lambda c: add_delivery(c, at=NINE, kind="ehr:main", fate=Fate.PARK, outcome=why))
    await console.store.write(lambda c: add_message(c, at=console.now, state="rejected"))

    async def components() -> dict[str, Component]:
        return {"worker": Component(False, "stopped at 3 a.m.")}

    console.components = components
    page = await shown(console)
    for words in (
        "Someone should look at this.", "worker</a>: stopped at 3 a.m.", "HTTP 422: no such patient",
        'look now</span> <a href="/messages">listener ris</a>: not looked at; 1 message of the last day was not',
        'look now</span> <a href="/deliveries">receiver main</a>: 1 waits for a person',
    ):  # fmt: skip
        assert words in page.html, words
    assert "Nothing is stuck" not in page.html
    assert page.html.index('role="alert"') < page.html.index("Comes in")


async def test_who_follows_gets_the_part_that_changes_and_then_each_change(console: Served) -> None:
    async with console.session.get(f"{console.base}/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-store"
        first = await _event(stream.content)
        assert "Nothing is stuck." in first
        await console.store.write(lambda c: add_message(c, at=console.now, state="failed"))
        assert "Someone should look at this." in await _event(stream.content)


async def _event(stream: StreamReader) -> str:
    """The data of the next event of the name `now`."""
    lines: list[str] = []
    while True:
        line = (await stream.readline()).decode().rstrip("\n")
        if line:
            lines.append(line)
        elif lines and lines[0] == "event: now":
            return "\n".join(line.removeprefix("data: ") for line in lines[1:])
        else:
            lines = []


async def test_a_database_that_is_away_is_the_first_line(console: Served, tmp_path: Path) -> None:
    console.store.engine.dispose()
    for file in tmp_path.glob("gateway.db*"):
        file.unlink()
    (tmp_path / "gateway.db").mkdir()
    page = await shown(console, status=503)
    assert "The database does not answer." in page.html
    assert "Nothing is stuck" not in page.html


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


NOT_SERVED = [{"place": "MSH-9.1", "text": "message type 'ADT' is not served"}]


@pytest.mark.parametrize("state", ["rejected", "failed"])
async def test_a_message_that_was_not_applied_calls_for_somebody_for_a_day(console: Served, state: str) -> None:
    await console.store.write(lambda c: add_message(c, state=state))
    assert "Someone should look at this." in (await shown(console)).html
    console.now += 24 * 3600 * 1_000_000
    assert "Nothing is stuck." in (await shown(console)).html


async def test_types_that_are_not_served_are_no_alarm(console: Served) -> None:
    await console.store.write(
        lambda c: add_message(c, state="rejected", findings=NOT_SERVED, type="ADT^A08", unserved=True)
    )
    assert "Nothing is stuck." in (await shown(console)).html


async def test_what_needs_a_look_soon_is_not_called_stuckless(console: Served) -> None:
    console.receivers = ("b",)
    away = {"error": "HTTP 503"}
    await console.store.write(
        lambda c: add_delivery(c, at=console.now - 400_000_000, kind="ehr:b", fate=Fate.RETRY, outcome=away)
    )
    page = await shown(console)
    assert "Someone should look at this." in page.html
    assert "receiver b</a>: does not answer; 1 waits" in page.html
