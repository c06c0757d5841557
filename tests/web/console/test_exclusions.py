"""An instance is excluded on the page of its study, and counts again, each with what the page states then."""

from __future__ import annotations

from tests.web.console.reader import PageTags, shown
from tests.web.served import STUDY, Served, whole_journey

PART = f"{STUDY}.9.1"
PAGE = f"/studies/{STUDY}"


async def pressed(console: Served, action: str, **fields: str) -> PageTags:
    """The page after a button of an instance was pressed."""
    headers = {"Accept": "text/html", "Origin": console.base}
    data = {"back": PAGE, "part": PART, **fields}
    address = f"{console.base}/api{PAGE}/{action}"
    async with console.session.post(address, headers=headers, data=data, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return await shown(console, answer.headers["Location"])


async def test_an_instance_is_excluded_and_counts_again(console: Served) -> None:
    await console.store.write(whole_journey)
    assert f"/api{PAGE}/include" not in (await shown(console, PAGE)).forms
    page = await pressed(console, "exclude", note="another <patient>")
    assert "Excluded: the study is sent anew, with 2 instances." in page.html
    assert f"/api{PAGE}/include" in page.forms
    assert "another &lt;patient&gt;" in page.html
    page = await pressed(console, "include")
    assert "Counts again: the study is sent anew, with 3 instances." in page.html
    assert f"/api{PAGE}/include" not in page.forms
