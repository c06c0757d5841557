"""The keyboard: every page is used without a mouse."""

from __future__ import annotations

import pytest

from tests.browser.busy import BusyGateway
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_slash_goes_to_the_search_box_and_enter_finds(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/messages")
    await page.keyboard.press("/")
    await page.keyboard.type("00007000003")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/orders/*")
    assert "00007000003" in await page.inner_text("main")


async def test_j_and_k_go_through_the_rows_and_enter_opens(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/messages")
    for key, current in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        await page.keyboard.press(key)
        rows = page.locator("tr[data-row]")
        assert await rows.nth(current).evaluate("row => row.classList.contains('current')")
        assert await page.evaluate("document.querySelectorAll('tr.current').length") == 1


async def test_r_reloads(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/search?q=Calloway")
    await page.evaluate("window.before = true")
    async with page.expect_navigation():
        await page.keyboard.press("r")
    assert await page.evaluate("window.before === undefined")


async def test_keys_in_a_field_are_letters(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/search")
    await page.focus("#search")
    await page.keyboard.type("r/jk")
    assert await page.input_value("#search") == "r/jk"


async def test_the_content_is_the_first_stop_of_the_tab_key(busy: BusyGateway, open_page: OpenPage) -> None:
    page = await open_page(busy.base + "/search")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "To the content"
