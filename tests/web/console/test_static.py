from __future__ import annotations

import re

from gateway.web.console.static import FILES, address
from tests.web.console.reader import shown
from tests.web.served import Served


async def test_every_script_and_style_of_a_page_is_served_for_good(console: Served) -> None:
    page = await shown(console)
    addresses = [*page.scripts, *re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.html)]
    assert len(addresses) >= 4
    for each in addresses:
        async with console.session.get(console.base + each) as response:
            assert response.status == 200
            assert response.content_type in ("text/css", "text/javascript")
            assert "immutable" in response.headers["Cache-Control"]
            assert await response.read() == FILES[each.split("/")[-1].split("?")[0]]


async def test_what_is_no_file_of_the_console_is_not_there(console: Served) -> None:
    assert (await console.get("/static/other.css"))[0] == 404
    assert (await console.get("/static/..%2frendering.py"))[0] == 404


def test_the_licences_of_what_others_wrote_come_along() -> None:
    licences = FILES["LICENSES.txt"].decode()
    assert all(name in licences for name in FILES if name.endswith(".min.js"))
    assert address("console.css").startswith("/static/console.css?v=")
