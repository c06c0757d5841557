"""The first page while it is open: what happens is shown without a hand on it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import expect

from gateway.wire.hl7.mllp_client import MllpClient
from tests.browser.busy import gateway_in
from tests.browser.conftest import OpenPage
from tests.journey.messages import orm

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOK_MS: Final = 30_000
"""A look at the state that took long is followed by a long rest."""


async def test_what_happens_is_shown_while_the_page_is_open(open_page: OpenPage, tmp_path: Path) -> None:
    async with gateway_in(tmp_path) as day:
        page = await open_page(day.base)
        await expect(page.locator("#main")).to_contain_text("Nothing is stuck.")
        async with MllpClient("127.0.0.1", day.gateway.hl7) as ris:
            assert b"MSA|AA|" in await ris.send(orm())
            await expect(page.locator("#main")).to_contain_text("ORM^O01 from ris", timeout=LOOK_MS)
            assert b"MSA|AE|" in await ris.send(orm(modality="KT", control_id="2"))
        refused = "1 message of the last day was not applied"
        await expect(page.get_by_role("alert")).to_contain_text(refused, timeout=LOOK_MS)
        await page.get_by_role("alert").get_by_role("link").first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Messages")


async def test_a_button_reloads_and_states_what_came_of_it(open_page: OpenPage, tmp_path: Path) -> None:
    async with gateway_in(tmp_path) as day:
        page = await open_page(f"{day.base}/system", scripts=False)
        await page.get_by_role("button", name="Reload").click()
        await expect(page.get_by_role("status")).to_contain_text("are in force as their files have them")
        await page.get_by_role("link", name="Check").click()
        await expect(page.locator("#main")).to_contain_text("mappings")
