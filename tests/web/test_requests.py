"""What a form sends, and where it goes back to."""

from __future__ import annotations

import pytest

from gateway.errors import Fate
from gateway.web.requests import local_path
from tests.web.served import NINE, Served, add_delivery


@pytest.mark.parametrize("written", ["/", "/deliveries?state=parked&before=7", "/studies/1.2%2F3"])
def test_a_path_of_this_server_is_gone_back_to(written: str) -> None:
    assert str(local_path(written)) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        "deliveries",
        "//elsewhere.example/",
        "/\\elsewhere.example",
        "https://elsewhere.example/",
        "/a\r\nX: y",
        "/\t/x",
    ],
)
def test_every_other_address_is_the_first_page(written: str) -> None:
    assert str(local_path(written)) == "/"


async def test_a_button_goes_back_to_its_page_with_a_notice(console: Served) -> None:
    row = await console.store.write(lambda c: add_delivery(c, at=NINE, fate=Fate.PARK))
    async with console.session.post(
        f"{console.base}/api/deliveries/{row}/retry",
        data={"back": "/?n=3"},
        headers={"Accept": "text/html", "Origin": console.base},
        allow_redirects=False,
    ) as response:
        assert (response.status, response.headers["Location"]) == (303, "/?n=1&notice=delivery_retried")


async def test_a_field_is_given_once(console: Served) -> None:
    row = await console.store.write(lambda c: add_delivery(c, at=NINE, fate=Fate.PARK))
    path = f"/api/deliveries/{row}/retry"
    status, answer = await console.post(path, data={"id": "9"})
    assert (status, answer["error"]["place"]) == (400, "id")
    status, answer = await console.post(
        path, data=b"back=/&back=/x", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert (status, answer["error"]["place"]) == (400, "back")
    status, answer = await console.post(path, data={"other": "1"})
    assert (status, answer["error"]["place"]) == (400, "other")
