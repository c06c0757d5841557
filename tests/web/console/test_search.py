from __future__ import annotations

import pytest
from sqlalchemy import Connection

from gateway.operations.search import MOST
from tests.web.console.reader import shown
from tests.web.served import NINE, STUDY, Served, add_instance, add_message, add_order, whole_journey


async def address_after(console: Served, path: str) -> str:
    async with console.session.get(
        console.base + path, headers={"Accept": "text/html"}, allow_redirects=False
    ) as response:
        return response.headers.get("Location", str(response.status))


async def test_without_a_question_the_page_states_what_can_be_asked(console: Served) -> None:
    page = await shown(console, "/search")
    assert "MSH-10" in page.html
    assert 'aria-current="page">Search' in page.html


async def test_a_number_of_one_thing_leads_to_it(console: Served) -> None:
    ids = await console.store.write(whole_journey)
    await console.store.write(lambda c: add_instance(c, 1, at=NINE, study_uid="1.2.3", accession="", patient_id="8"))
    for text, address in (
        ("A100", f"/orders/{ids['order']}"), (" 4711 ", "/patients/1"), ("1.2.3", "/studies/1.2.3"),
        (f"{STUDY}.9.1", f"/studies/{STUDY}"), ("C1", f"/messages/{ids['message']}"),
    ):  # fmt: skip
        assert await address_after(console, f"/search?q={text}") == address


async def test_what_several_have_is_listed(console: Served) -> None:
    await console.store.write(whole_journey)
    await console.store.write(lambda c: add_order(c, accession="A101", study_uid="1.2.9"))
    await console.store.write(lambda c: add_message(c, state="rejected", findings=[{"place": "PID-3", "text": "no"}]))
    page = await shown(console, "/search?q=4711")
    for words in (
        "Orders: 2", "Patients: 1", "Studies: 1", "Messages: 1", "Muster, Erika", "2026-01-05 10:30 at CT1",
        "PID-3: no", 'value="4711"',
    ):  # fmt: skip
        assert words in page.html, words
    assert {"/orders/1", "/orders/2", "/patients/1", f"/studies/{STUDY}", "/messages/2"} <= set(page.links)
    assert not page.inline


async def test_a_filter_narrows_down(console: Served) -> None:
    await console.store.write(whole_journey)
    page = await shown(console, "/search?q=muster&day=2026-01-05&modality=CT&station=CT1&state=SCHEDULED")
    assert "Orders: 1" in page.html
    assert 'value="2026-01-05"' in page.html
    assert "Nothing here" in (await shown(console, "/search?q=muster&day=2026-01-06")).html
    assert "(day)" in (await shown(console, "/search?day=yesterday", status=400)).html
    assert "(day)" in (await shown(console, "/search?state=not-applied&day=9999-12-31", status=400)).html


@pytest.mark.parametrize("text", ["<script>", '""', "%25", "a'b", "\N{SNOWMAN}", "x" * 256, "^", ",", "="])
async def test_any_text_may_be_asked(console: Served, text: str) -> None:
    await console.store.write(whole_journey)
    page = await shown(console, f"/search?q={text}")
    assert "<script>" not in page.html.partition('id="search"')[2]


async def test_a_list_that_is_cut_states_so(console: Served) -> None:
    def many(connection: Connection) -> None:
        for number in range(MOST + 1):
            add_order(connection, accession="A1", study_uid=f"1.2.{number}")

    await console.store.write(many)
    page = await shown(console, "/search?q=A1")
    assert f"Orders: more than {MOST}" in page.html
    assert f"more than {MOST} of: orders" in page.html
