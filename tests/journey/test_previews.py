"""From a scanner's C-STORE to the picture of a person's browser. How a file is kept is the same on both databases."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pydicom
import pytest

from tests.journey.running import Start
from tests.journey.test_pixels_arrive import FILES, files, forward, send

STORED = tuple(path for path in FILES if path.stem != "image_dfl")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_scanner_sent_is_seen(start: Start, tmp_path: Path) -> None:
    async with start(studies=forward(tmp_path)) as gateway, aiohttp.ClientSession() as session:
        assert set(await send(gateway, *STORED)) == {0}
        before = files(tmp_path)
        for path in STORED:
            sent = pydicom.dcmread(path, stop_before_pixels=True)
            study = f"http://127.0.0.1:{gateway.http_port}/studies/{sent.StudyInstanceUID}"
            async with session.get(f"{study}/pictures") as page:
                html = await page.text()
            address = (
                f"/api/studies/{sent.StudyInstanceUID}/series/{sent.SeriesInstanceUID}"
                f"/instances/{sent.SOPInstanceUID}/preview.jpg"
            )
            assert f'<img src="{address}"' in html
            async with session.get(f"http://127.0.0.1:{gateway.http_port}{address}") as response:
                assert response.status == 200, await response.text()
                assert (await response.read()).startswith(b"\xff\xd8")
        assert files(tmp_path) == before
