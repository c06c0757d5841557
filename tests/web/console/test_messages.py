"""The page of messages: causes and their cures, filters, paging, what arrived unreadable."""

from __future__ import annotations

import re
from functools import partial

import pytest

from gateway.records.cause import cause_of_message
from gateway.store import refusals
from tests.web.console.reader import shown
from tests.web.served import NINE, SECOND, Served, add_message, add_refusal

MISSING = {"place": "PID-3", "text": "PatientID has no value"}
KEY = cause_of_message(MISSING).key


async def press(console: Served, path: str, **fields: str) -> str:
    """Press a button of a page; where the browser is led."""
    async with console.session.post(
        console.base + path, data=fields, headers={"Accept": "text/html"}, allow_redirects=False
    ) as response:
        assert response.status == 303, await response.text()
        return response.headers["Location"]


async def test_an_empty_gateway_has_an_empty_page(console: Served) -> None:
    page = await shown(console, "/messages")
    assert "Nothing: all messages were applied" in page.html
    assert 'aria-current="page">Messages' in page.html
    assert not page.inline


async def test_causes_are_counted_and_cured(console: Served) -> None:
    for number in range(3):
        at = NINE + number * SECOND
        await console.store.write(partial(add_message, at=at, state="rejected", findings=[MISSING]))
    await console.store.write(add_message)
    page = await shown(console, "/messages")
    assert f"/messages?cause={KEY}&amp;put=open" in page.html or f"/messages?cause={KEY}&put=open" in page.html
    back = f"/messages?cause={KEY}"
    led = await press(console, f"/api/message-causes/{KEY}/replay", back=back)
    assert (led, console.replayed) == (f"{back}&notice=messages_applied&n=3", [1, 2, 3])
    led = await press(console, f"/api/message-causes/{KEY}/put-away", back="/messages", note="<b>a test</b>")
    page = await shown(console, led)
    assert "Put away: 3." in page.html
    assert "Nothing: all messages were applied" in page.html
    page = await shown(console, "/messages?put=put-away")
    assert page.html.count("&lt;b&gt;a test&lt;/b&gt;") == 3
    led = await press(console, "/api/messages/2/take-back", back="/messages?put=open")
    page = await shown(console, led)
    assert "Calls for a person again: 1." in page.html
    assert "/api/message-causes/" in "".join(page.forms)


async def test_filters_and_pages(console: Served) -> None:
    for number in range(120):
        kind = "OMI^O23" if number % 2 else "ORM^O01"
        await console.store.write(partial(add_message, at=NINE + number * SECOND, type=kind))
    page = await shown(console, "/messages?type=OMI")
    assert "25 of 60 shown" in page.html
    [older] = [link for link in page.links if "before=" in link]
    page = await shown(console, older)
    assert "25 of 35 shown" in page.html
    assert "0 of 0 shown" in (await shown(console, "/messages?day=2026-01-04")).html
    assert "25 of 120 shown" in (await shown(console, "/messages?day=2026-01-05")).html
    assert '<p class="pager">25 shown <a href="/messages?before=96"' in (await shown(console, "/messages")).html
    assert "0 of 0 shown" in (await shown(console, "/messages?listener=other")).html
    assert "0 of 0 shown" in (await shown(console, "/messages?state=rejected")).html


async def test_what_arrived_unreadable_is_put_away(console: Served) -> None:
    await console.store.write(add_refusal)
    page = await shown(console, "/messages")
    [key] = re.findall(r"/api/message-causes/(\w{8})/put-away", page.html)
    assert f"/api/message-causes/{key}/replay" not in page.forms
    await press(console, "/api/refusals/1/put-away", note="a scan")
    page = await shown(console, "/messages")
    assert "too large" not in page.html
    page = await shown(console, "/messages?put=put-away")
    assert "/api/refusals/1/take-back" in page.forms


@pytest.mark.parametrize("query", ["cause=x", "day=2026-13-01", "day=9999-12-31", "state=odd", "put=maybe", "before=0"])
async def test_a_filter_that_is_none_is_named(console: Served, query: str) -> None:
    page = await shown(console, f"/messages?{query}", status=400)
    assert query.partition("=")[0] in page.html


async def test_a_note_is_asked_for(console: Served) -> None:
    await console.store.write(lambda c: add_message(c, state="rejected", findings=[MISSING]))
    async with console.session.post(
        f"{console.base}/api/messages/1/put-away", data={"note": ""}, headers={"Accept": "text/html"}
    ) as response:
        assert response.status == 422
        assert "say why" in await response.text()


async def test_what_arrived_unreadable_has_a_page_with_its_bytes(console: Served) -> None:
    raw = b"GET /<b> HTTP/1.0\r\n\x1b[2J\xff" + b"x" * 10_000
    await console.store.write(partial(refusals.add, refused_at=NINE, source="ris 10.0.0.9", reason="cut off", body=raw))
    await console.store.write(partial(refusals.add, refused_at=NINE, source="CT9 10.0.0.9", reason="no", body=b""))
    page = await shown(console, "/messages")
    assert {"/refusals/1", "/refusals/2"} <= set(page.links)
    page = await shown(console, "/refusals/1")
    for words in ("GET /&lt;b&gt; HTTP/1.0\n\\x1b[2J\\xff", "8.0 KiB of 9.8 KiB", "cut off"):
        assert words in page.html, words
    await press(console, "/api/refusals/1/put-away", note="a scan", back="/refusals/1")
    assert "/api/refusals/1/take-back" in (await shown(console, "/refusals/1")).forms
    assert "Nothing of it is kept" in (await shown(console, "/refusals/2")).html
    await shown(console, "/refusals/77", status=404)


async def test_types_that_are_not_served_are_counted_and_call_for_nobody(console: Served) -> None:
    for number in range(3):
        at = NINE + number * SECOND
        await console.store.write(partial(add_message, at=at, type="ADT^A60", state="rejected", unserved=True))
    page = await shown(console, "/messages")
    assert "<li>3 <a" in page.html
    assert "/messages?type=ADT%5EA60" in page.links
    assert "Nothing: all messages were applied" in page.html
    assert "3 of 3 shown" in (await shown(console, "/messages?type=ADT^A60")).html
