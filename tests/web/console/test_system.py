from __future__ import annotations

from collections.abc import Sequence

from gateway.operations.check import CheckFinding
from gateway.operations.reloading import Reloaded
from gateway.operations.system import Setting, System
from gateway.store import migrations
from tests.web.console.reader import shown
from tests.web.served import NINE, Served


async def _check() -> Sequence[CheckFinding]:
    return [CheckFinding("mappings", True, "5 files"), CheckFinding("dicom.tls.certificate", False, "cannot be used")]


async def test_the_page_shows_the_configuration_and_checks_where_it_is_asked_to(console: Served) -> None:
    console.system = System(
        console.system.reload, lambda: [Setting("http.token", "(set, not shown)"), Setting("site.name", "<b>")], _check
    )
    page = await shown(console, "/system")
    assert f"schema {migrations.newest()}" in page.html
    assert '<dt class="code">http.token</dt><dd>(set, not shown)</dd>' in page.html
    assert "<dd>&lt;b&gt;</dd>" in page.html
    assert page.forms == ["/api/reload"]
    assert "cannot be used" not in page.html
    page = await shown(console, "/system?check=true")
    assert "cannot be used" in page.html


async def test_the_button_states_what_came_of_the_reload(console: Served) -> None:
    outcomes = [Reloaded(NINE), Reloaded(NINE, waits_for_restart=["http.port"]), Reloaded(NINE, ["no such key"])]

    async def reload() -> Reloaded:
        return outcomes.pop(0)

    console.system = System(reload, tuple, _check)
    headers = {"Accept": "text/html", "Origin": console.base}
    for notice in ("reloaded&n=0", "reloaded_in_part&n=1", "reload_failed&n=1"):
        async with console.session.post(
            f"{console.base}/api/reload", headers=headers, data={"back": "/system"}, allow_redirects=False
        ) as answer:
            assert answer.headers["Location"] == f"/system?notice={notice}"
    page = await shown(console, "/system?notice=reload_failed&n=1")
    assert "Not reloaded, what was read before is in force. Faults: 1" in page.html
