from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from gateway.web.console.rendering import moment, size, span
from tests.web.console.reader import shown
from tests.web.served import NINE, Served

MINUTE = 60_000_000


def test_a_moment_is_local_with_its_zone_and_utc_on_hover() -> None:
    utc = "2026-01-05T09:00:00.000000Z"
    written = moment(NINE, ZoneInfo("Europe/Berlin"))
    assert written == f'<time datetime="{utc}" title="{utc}">2026-01-05 10:00:00 CET</time>'


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59_999_999, "59 s"),
        (12 * MINUTE, "12 min"),
        (61 * MINUTE, "1 h 1 min"),
        (24 * 60 * MINUTE, "1 d"),
        (76 * 60 * MINUTE + MINUTE, "3 d 4 h"),
    ],
)
def test_a_length_of_time(micros: int, text: str) -> None:
    assert span(micros) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**50, "1024.0 TiB")]
)
def test_a_number_of_bytes(octets: int, text: str) -> None:
    assert size(octets) == text


async def test_an_error_is_a_page_for_a_browser_and_json_for_a_program(console: Served) -> None:
    page = await shown(console, "/nowhere", status=404)
    assert "There is no page at this address." in page.html
    assert (await console.get("/nowhere"))[1]["error"]["message"].startswith("there is nothing at this path")
    page = await shown(console, "/?n=many", status=400)
    assert "n)" in page.html
    page = await shown(console, "/api/messages/77", status=404)
    assert "there is no message 77" in page.html


async def test_a_notice_is_a_text_of_the_table_and_nothing_else(console: Served) -> None:
    page = await shown(console, "/?notice=cause_retried&n=1234")
    assert "Tried again now: 1,234." in page.html
    page = await shown(console, "/?notice=<b>owned</b>")
    assert "owned" not in page.html
