"""The buttons of the page Deliveries, as a person presses them, with scripts and without."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.busy import PARKED, BusyGateway
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")
ADDRESS: Final = "/deliveries"


def receiver(page: Page, name: str) -> Locator:
    """The row of a receiver."""
    return page.locator("tr", has=page.get_by_role("link", name=name, exact=True)).first


async def pressed(page: Page, row: Locator, text: str, *, note: str | None = None) -> str:
    """Press a button, with a note where it asks for one; returns what the page states then."""
    if note is not None:
        await row.locator("summary", has_text=f"{text}…").click()
        field = row.locator("details[open] input[name=note]")
        await field.fill(note)
    async with page.expect_navigation():
        await row.get_by_role("button", name=text, exact=True).click()
    stated: str = await page.locator(".notice").inner_text()
    return stated


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_receiver_is_paused_and_resumed(busy: BusyGateway, open_page: OpenPage, scripts: bool) -> None:
    page = await open_page(busy.base + ADDRESS, scripts=scripts)
    stated = await pressed(page, receiver(page, "archive"), "Pause", note="upgrade until six")
    assert stated == "Paused: nothing is sent there until it is resumed."
    await expect(receiver(page, "archive")).to_contain_text("upgrade until six")
    stated = await pressed(page, receiver(page, "archive"), "Resume")
    assert stated == "Resumed: what waited is being sent."
    await expect(receiver(page, "archive")).not_to_contain_text("upgrade until six")


async def test_one_is_given_up_with_its_note_and_taken_back(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(f"{busy.base}{ADDRESS}?receiver=main&state=parked")
    row = page.locator("tr[data-row]", has_text="HTTP 422").last
    number = re.search(r"d(\d+)", await row.inner_text())
    assert number is not None
    assert await pressed(page, row, "Give up", note="test patient") == "Given up, with the note: 1."
    await page.goto(f"{busy.base}{ADDRESS}?receiver=main&state=given-up")
    row = page.locator("tr[data-row]", has_text=number[0]).last
    await expect(row).to_contain_text("test patient")
    assert await pressed(page, row, "Try again") == "The delivery is being tried again now."


async def test_all_of_a_cause_is_tried_again(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + ADDRESS)
    row = page.locator("table", has_text="such as").locator("tr[data-row]").first
    stated = await pressed(page, row, "Try all again")
    count = re.fullmatch(r"Tried again now: (\d+)\.", stated)
    assert count is not None
    assert PARKED - 5 <= int(count[1]) <= PARKED


async def test_everything_is_sent_again_since_a_day(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + ADDRESS)
    row = receiver(page, "main")
    await row.locator("summary", has_text="Send all again").click()
    await row.locator("input[name=since]").fill("2020-01-01")
    stated = await pressed(page, row, "Send all again")
    assert re.fullmatch(r"Sent once more, at the rate that was given: \d+\.", stated)
    await expect(receiver(page, "main")).to_contain_text("Sent everything again")
