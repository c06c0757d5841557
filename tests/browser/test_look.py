"""Every page at two widths, light and dark: no barrier that axe finds serious, nothing wider than the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bench.made_studies import study_uid
from gateway.web.console.rendering import PAGES
from tests.browser.busy import BusyGateway
from tests.browser.conftest import OpenPage

ADDRESSES: Final = {name.lower(): path for path, name in PAGES}
DEEP: Final = {
    "found": "/search?q=calloway", "journey": "/accessions/00007000003?scanner=CT1", "patient": "/patients/1",
    "study": f"/studies/{study_uid(39)}", "message": "/messages/550", "scanner": "/worklist?scanner=CT1",
}  # fmt: skip
"""What pages of a busy day lead to."""
WIDTHS: Final = (1440, 390)
pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("day", ["busy", "empty"])
async def test_a_page(
    open_page: OpenPage, shots: Path | None, busy: BusyGateway, empty: BusyGateway,
    day: str, name: str, width: int, dark: bool,
) -> None:  # fmt: skip
    gateway = busy if day == "busy" else empty
    page = await open_page(gateway.base + ADDRESSES[name], width=width, dark=dark)
    await check(page, shots, f"{name}-{day}-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", DEEP)
async def test_a_page_of_one_thing(
    open_page: OpenPage, shots: Path | None, busy: BusyGateway, name: str, width: int, dark: bool
) -> None:
    page = await open_page(busy.base + DEEP[name], width=width, dark=dark)
    await check(page, shots, f"{name}-busy-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_the_first_page_of_a_full_disk(
    open_page: OpenPage, shots: Path | None, full: BusyGateway, width: int, dark: bool
) -> None:
    page = await open_page(full.base, width=width, dark=dark)
    await expect(page.locator("main")).to_contain_text("the disk of the database is full", timeout=30_000)
    await check(page, shots, f"now-full-{width}-{'dark' if dark else 'light'}")


async def check(page: Page, shots: Path | None, name: str) -> None:
    """No barrier, nothing wider than the screen; a screenshot where they are wanted."""
    if shots:
        await page.screenshot(path=shots / f"{name}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the screen"
    assert await _barriers(page) == []


async def _barriers(page: Page) -> list[str]:
    """What axe finds serious or critical, as rule and element."""
    results: dict[str, Any] = (await Axe().run(page)).response
    return [
        f"{violation['id']}: {node['target']} {node.get('failureSummary', '')}"
        for violation in results["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]
