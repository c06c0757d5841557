"""One browser for all tests, one busy and one empty gateway, and pages that fail on what a browser complains of."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.browser.busy import BusyGateway, fill, gateway_in
from tests.browser.staffed import staffed_in
from tests.faults.small_disk import fill as fill_disk
from tests.faults.small_disk import small_disk

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

OpenPage = Callable[..., Awaitable[Page]]

expect.set_options(timeout=60_000)
"""A busy machine takes its time for a page."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.fail("no Chromium is installed; run: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def busy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyGateway]:
    """A gateway on a bad day. The tests change what they made themselves, or what is there many times."""
    async with gateway_in(tmp_path_factory.mktemp("busy")) as gateway:
        await fill(gateway)
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyGateway]:
    async with gateway_in(tmp_path_factory.mktemp("empty")) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyGateway]:
    """A gateway whose database has no room."""
    folder = tmp_path_factory.mktemp("full")
    with small_disk(folder / "disk") as disk:
        async with gateway_in(folder, f"sqlite:///{disk}/gateway.db") as gateway:
            fill_disk(disk / "filler")
            yield gateway
            (disk / "filler").unlink()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def staffed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyGateway]:
    """A gateway that asks people for a login."""
    async with staffed_in(tmp_path_factory.mktemp("staffed")) as gateway:
        yield gateway


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens an address: `width` in CSS pixels, `dark`, `scripts`. What the browser logs as an error fails the test."""
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    async def open_page(address: str, *, width: int = 1440, dark: bool = False, scripts: bool = True) -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light",
            java_script_enabled=scripts, timezone_id="Europe/Berlin",
        )  # fmt: skip
        contexts.append(context)
        page = await context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(address)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """The folder for screenshots, or None for none."""
    name = os.environ.get("BROWSER_SHOTS")
    if not name:
        return None
    folder = Path(name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
