"""Pages of people and of what a security officer looks at: the login, users, the audit trail, retention, figures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Page, expect

from tests.browser.busy import BusyGateway
from tests.browser.conftest import OpenPage
from tests.browser.test_look import WIDTHS, check
from tests.web.browsing import PASSWORD

ADDRESSES: Final = {
    "users": "/users", "audit": "/audit", "retention": "/retention", "figures": "/figures", "account": "/account",
    "now": "/", "system": "/system",
}  # fmt: skip
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def enter(page: Page, name: str = "ada") -> None:
    """Log in as a person without a mouse does."""
    await page.get_by_label("Name").focus()
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ADDRESSES)
async def test_a_page_of_who_has_logged_in(
    open_page: OpenPage, shots: Path | None, staffed: BusyGateway, name: str, width: int, dark: bool
) -> None:
    page = await open_page(f"{staffed.base}{ADDRESSES[name]}", width=width, dark=dark)
    assert "/login" in page.url
    if name == "users":
        await check(page, shots, f"login-staffed-{width}-{'dark' if dark else 'light'}")
    await enter(page)
    assert page.url == f"{staffed.base}{ADDRESSES[name]}"
    await check(page, shots, f"{name}-staffed-{width}-{'dark' if dark else 'light'}")


async def test_a_user_is_made_without_a_mouse_and_the_link_opens(open_page: OpenPage, staffed: BusyGateway) -> None:
    page = await open_page(staffed.base + "/users")
    await enter(page)
    await page.locator("form[action='/users/new'] input[name=name]").focus()
    await page.keyboard.type("nora")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    status = page.get_by_role("status")
    await expect(status).to_contain_text("nora sets a password here, once")
    await expect(page.locator("main")).to_contain_text("no password yet")
    link = next(word for word in (await status.inner_text()).split() if "/password?link=" in word)
    page = await open_page(link.removesuffix("Copy"))
    await check(page, None, "")
    await page.get_by_label("Password").first.focus()


async def test_events_are_found_and_an_export_is_offered(open_page: OpenPage, staffed: BusyGateway) -> None:
    page = await open_page(staffed.base + "/audit")
    await enter(page)
    await page.get_by_label("What").select_option("user authentication")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Show").press("Enter")
    await expect(page.locator("table")).to_contain_text("ada")
    await expect(page.locator("table")).not_to_contain_text("order record")
    await expect(page.locator("main")).to_contain_text("Repository siem is away")
    assert await page.get_by_role("link", name="csv").get_attribute("href")


async def test_a_hold_is_put_without_a_mouse(open_page: OpenPage, staffed: BusyGateway) -> None:
    page = await open_page(staffed.base + "/retention")
    await enter(page)
    await page.get_by_label("Patient ID or accession number").focus()
    await page.keyboard.type("P000700004")
    await page.get_by_label("Why").last.focus()
    await page.keyboard.type("asked for by a lawyer")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await expect(page.locator("table").last).to_contain_text("P000700004")


async def test_who_logs_out_is_out(open_page: OpenPage, staffed: BusyGateway) -> None:
    page = await open_page(staffed.base + "/")
    await enter(page, "vera")
    await expect(page.locator("nav")).not_to_contain_text("Audit")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Log out").press("Enter")
    assert page.url == staffed.base + "/login"
    await page.goto(staffed.base + "/messages")
    assert "/login" in page.url
