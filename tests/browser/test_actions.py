"""What a person does on the pages: find, follow a journey, work on a message again, put away, pause, send again."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from bench.made_studies import study_uid
from tests.browser.busy import BusyGateway
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCESSION = "00007000003"


async def press(page: Page, name: str, *, note: str = "", within: str = "main") -> None:
    """Press the first button of this name; one with a note is folded under its name, and a question is answered yes."""
    page.once("dialog", lambda dialog: dialog.accept())
    place = page.locator(within)
    if note:
        folded = place.locator("details", has=page.locator("summary", has_text=re.compile(f"^{name}"))).first
        await folded.locator("summary").first.click()
        await folded.locator("input[name=note]").first.fill(note)
        button = folded.locator("button").first
    else:
        button = place.get_by_role("button", name=name).first
    async with page.expect_navigation():
        await button.click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_an_order_is_found_by_its_number_and_its_journey_read(
    busy: BusyGateway, open_page: OpenPage, scripts: bool
) -> None:
    page = await open_page(busy.base + "/", scripts=scripts)
    await page.fill("#search", ACCESSION)
    await page.get_by_role("button", name="Search").first.click()
    await page.wait_for_url("**/orders/*")
    text = await page.inner_text("main")
    assert ACCESSION in text
    for lane in ("RIS", "Worklist", "Scanner", "Study", "EHR"):
        assert re.search(lane, text, re.IGNORECASE), lane


async def test_a_name_finds_patients(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/search?q=calloway")
    await expect(page.locator("main")).to_contain_text("Calloway")


async def test_why_a_scanner_does_not_show_an_order(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(f"{busy.base}/accessions/{ACCESSION}?scanner=CT1")
    await expect(page.locator("main")).to_contain_text("CT1")


async def test_working_on_a_message_again_is_shown_first_and_then_done(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/messages?put=open")
    await page.locator("td a[href^='/messages/']").last.click()
    await page.wait_for_url("**/messages/*")
    await expect(page.locator("main")).to_contain_text("ORC-1")
    await press(page, "Work on it again")
    await expect(page.locator(".notice")).to_contain_text("worked on again")


async def test_a_cause_is_put_away_and_calls_for_nobody_any_more(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/messages")
    causes = page.locator("table").first.locator("tbody tr")
    before = await causes.count()
    await press(page, "Put all away", note="a vendor's test")
    await expect(page.locator(".notice")).to_contain_text("Put away")
    assert await page.locator("table").first.locator("tbody tr").count() == before - 1


async def test_a_receiver_is_paused_and_resumed(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/deliveries")
    row = "table >> nth=0 >> tr:has-text('archive')"
    await press(page, "Pause", note="upgrade until six", within=row)
    await expect(page.locator(row)).to_contain_text("upgrade until six")
    now = await open_page(busy.base + "/")
    await expect(now.locator("main")).to_contain_text("paused by a person")
    await press(page, "Resume", within=row)
    await expect(page.locator(row)).not_to_contain_text("upgrade until six")


async def test_a_study_is_sent_again(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(f"{busy.base}/studies/{study_uid(39)}")
    await expect(page.locator("main")).to_contain_text("422")
    await press(page, "Try again")
    await expect(page.locator(".notice")).to_be_visible()


async def test_the_first_page_follows_what_happens(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/")
    await page.evaluate("window.before = true")
    other = await open_page(busy.base + "/deliveries")
    row = "table >> nth=0 >> tr:has-text('main')"
    await press(other, "Pause", note="looked at", within=row)
    await expect(page.locator("main")).to_contain_text("paused by a person", timeout=15_000)
    assert await page.evaluate("window.before"), "the page was loaded anew"
    await press(other, "Resume", within=row)


async def test_a_uid_is_copied(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(f"{busy.base}/studies/{study_uid(39)}")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").first.click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == study_uid(39)
