"""The page of the mappings in force, and of a message that somebody pastes."""

from __future__ import annotations

from functools import partial

from gateway.records.missing_code import MissingCode
from gateway.store import message_listing, unknown_codes
from tests.journey.messages import orm
from tests.web.console.reader import PageTags, shown, tags_of
from tests.web.served import Served


async def test_rows_and_codes_are_shown(console: Served) -> None:
    missing = {MissingCode("modality", "<QQ>")}
    await console.store.write(partial(unknown_codes.count, missing=missing, now=console.now, message=7))
    page = await shown(console, "/mappings")
    for words in ("order_to_worklist.yaml: ", "AccessionNumber", "&lt;QQ&gt;", "/messages/7", "No rows."):
        assert words in page.html, words
    assert page.forms == ["/api/reload", "/mappings/explain"]
    assert not page.inline


async def pasted(console: Served, text: str, *, status: int = 200, **fields: str) -> PageTags:
    async with console.session.post(
        f"{console.base}/mappings/explain", data={"message": text, **fields}, headers={"Accept": "text/html"}
    ) as response:
        html = await response.text()
        assert response.status == status, html
        return tags_of(html)


async def test_a_pasted_message_is_explained_and_not_kept(console: Served) -> None:
    text = orm().decode().replace("REFERRER", "Müller").replace("UNICODE UTF-8", "8859/1").replace("\r", "\r\n")
    page = await pasted(console, text)
    for words in ("ORM^O01", "AccessionNumber", "ACC1", "Müller", "Nothing was kept or sent", "rows without a value"):
        assert words in page.html, words
    assert await console.store.read(partial(message_listing.page, wanted=message_listing.Wanted(), limit=1)) == (
        message_listing.Page([], None, 0, True)
    )


async def test_what_cannot_be_explained_has_its_reason(console: Served) -> None:
    assert "no MSH segment" in (await pasted(console, "hello <b>")).html
    assert "would be answered AE" in (await pasted(console, orm(modality="QQ").decode())).html
    await pasted(console, "", status=400)
    await pasted(console, "MSH|", status=404, listener="nobody")
    await pasted(console, "x" * (1024 * 1024 + 1), status=413)
