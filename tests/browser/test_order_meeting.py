"""A study that its order holds, on the pages: how both sides look, and that a person can release it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import expect

from bench.made_studies import made_study
from gateway.simulators import modality, ris
from tests.browser.busy import BusyGateway, gateway_in
from tests.browser.conftest import OpenPage
from tests.browser.test_actions import press
from tests.browser.test_look import WIDTHS, check
from tests.conftest import comes_true

pytestmark = pytest.mark.asyncio(loop_scope="session")
NAME = "MÜLLER-LÜDENSCHEIDT VON UND ZU HOHENSTEIN^DOROTHEA MARIA MAGDALENA"
LONG = "1.2.826.0.1.3680043.8.498.".ljust(64, "7")
"""A Study Instance UID of 64 characters."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def holding(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BusyGateway]:
    """A gateway with a study whose order is another patient's."""
    async with gateway_in(tmp_path_factory.mktemp("holding")) as busy:
        [order] = ris.orders(7, 1)
        await ris.send("127.0.0.1", busy.gateway.hl7, [order.hl7()])
        images = made_study(0, series=2, instances=2)
        for image in images:
            image.StudyInstanceUID = LONG
            image.AccessionNumber, image.PatientName, image.SpecificCharacterSet = (
                order.accession_number,
                NAME,
                "ISO_IR 192",
            )
        await modality.send("127.0.0.1", busy.gateway.dicom, images, calling_ae="CT1")
        async with aiohttp.ClientSession(busy.base) as session:
            await comes_true(partial(_held, session))
        yield busy


async def _held(session: aiohttp.ClientSession) -> bool:
    async with session.get("/api/studies", params={"order": "held"}) as response:
        return bool((await response.json())["studies"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/studies?order=held", f"/studies/{LONG}"], ids=["list", "study"])
async def test_how_it_looks(
    open_page: OpenPage, shots: Path | None, holding: BusyGateway, path: str, width: int, dark: bool
) -> None:
    page = await open_page(holding.base + path, width=width, dark=dark)
    await expect(page.locator("main")).to_contain_text("DOROTHEA" if "?" in path else "not linked with order")
    name = "studies" if "?" in path else "study"
    await check(page, shots, f"{name}-held-{width}-{'dark' if dark else 'light'}")


async def test_it_is_released_with_a_reason(open_page: OpenPage, holding: BusyGateway) -> None:
    page = await open_page(f"{holding.base}/studies?order=held")
    await page.locator("td a[href^='/studies/']").first.click()
    await expect(page.locator("main")).to_contain_text("No EHR gets the study until this is decided")
    await press(page, "Release", note="the ward was asked")
    await expect(page.locator("main")).to_contain_text("the ward was asked")
    await expect(page.locator("main")).not_to_contain_text("No EHR gets the study")
    await page.goto(f"{holding.base}/studies?order=held")
    await expect(page.locator("main")).to_contain_text("No study.")
