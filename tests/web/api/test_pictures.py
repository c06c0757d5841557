"""Previews over HTTP. What is settled before a statement is made is the same on both databases: SQLite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.operations.audit.access import subjects_of
from gateway.operations.pictures import MISSING, NEVER_CAME, NOT_KEPT, REMOVED, Pictures
from gateway.pixels.pool import Pool
from gateway.records.audit import Action, AuditKind
from gateway.store import pixel_files
from tests.pixels.samples import SHIPPED, sample
from tests.web.kept_pixels import Kept, keep, row_of_file
from tests.web.served import NINE, STUDY, Served, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(file_sqlite_url: str) -> AsyncIterator[Served]:
    """Each test has instances of its own."""
    async with Pool(1) as pool, served(file_sqlite_url, pictures=Pictures("", SHIPPED.joinpath, pool.preview)) as one:
        yield one


async def test_a_preview_is_shown_and_who_looked_is_recorded(console: Served) -> None:
    kept = Kept(1, sample("MR_small_RLE.dcm"))
    console.noted.clear()
    await keep(console.store, kept)
    async with console.session.get(console.base + kept.preview) as response:
        assert (response.status, response.content_type) == (200, "image/jpeg")
        assert response.headers["Cache-Control"] == "no-store"
        assert (await response.read()).startswith(b"\xff\xd8")
    [event] = console.noted
    assert (event.kind, event.action) == (AuditKind.INSTANCES_ACCESSED, Action.READ)
    assert (event.patients, event.studies) == (("4711",), (STUDY,))


async def test_without_a_file_the_reason_is_given(console: Served) -> None:
    bare, removed, lost, gone = (Kept(n, s) for n, s in enumerate(
        (None, sample("CT_small.dcm"), sample("MR_small.dcm"), Path("nowhere.dcm")), 10
    ))  # fmt: skip
    await keep(console.store, bare, removed, lost, gone)
    rows = [await row_of_file(console.store, removed)]
    await console.store.write(partial(pixel_files.mark_removed, rows=rows, now=NINE))
    listed = [pixel_files.Listed(await row_of_file(console.store, lost), "MR_small.dcm", is_missing=False)]
    await console.store.write(partial(pixel_files.mark_missing, listed=listed, now=NINE))
    for kept, reason in ((bare, NEVER_CAME), (removed, REMOVED), (lost, MISSING), (gone, MISSING)):
        status, body = await console.get(kept.preview)
        assert (status, body["error"]["message"]) == (404, reason)
    status, body = await console.get(Kept(9).preview)
    assert (status, body["error"]["message"]) == (404, "no such instance of this study has arrived")


async def test_what_cannot_be_shown_says_why(console: Served) -> None:
    broken, report = Kept(20, sample("MR_truncated.dcm")), Kept(21, sample("reportsi.dcm"))
    await keep(console.store, broken, report)
    status, body = await console.get(broken.preview)
    assert status == 422
    assert body["error"] == {"message": "8192 bytes announced, 8130 there", "place": "(7FE0,0010)"}
    status, body = await console.get(report.preview)
    assert (status, body["error"]["message"]) == (422, "the instance has no pixels")


async def test_where_headers_alone_are_kept_no_instance_has_a_preview(sqlite_url: str) -> None:
    async with served(sqlite_url) as console:
        await keep(console.store, Kept(1))
        status, body = await console.get(Kept(1).preview)
    assert (status, body["error"]["message"]) == (404, NOT_KEPT)
    assert not subjects_of(body)
