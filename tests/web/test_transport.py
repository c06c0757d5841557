"""What a reverse proxy states counts where it is one of the site, and nowhere else."""

from __future__ import annotations

import pytest

from gateway.config.http import Http
from gateway.records.person import Role
from tests.journey.running import Start
from tests.web.browsing import PASSWORD, add_user, browser

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
STATED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 10.1.1.1", "X-Forwarded-Host": "gw.example.org"}
HSTS = "Strict-Transport-Security"


async def test_behind_a_proxy_a_login_is_asked_for_and_cookies_are_for_tls_alone(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    http = Http(port=0, behind_proxy=["127.0.0.1"])
    async with start(http=http) as gateway, browser(f"http://127.0.0.1:{gateway.http_port}") as someone:
        await add_user(gateway.store, "ada", Role.ADMIN, now=1)
        assert gateway.first_link.startswith("/password?link=")
        someone.session.headers.update(STATED)
        asked = await someone.open("/")
        assert (asked.status, asked.headers[HSTS]) == (303, "max-age=31536000")
        assert "not encrypted" not in (await someone.open("/login")).text
        fields = {"name": "ada", "password": PASSWORD, "to": "/"}
        foreign = await someone.post("/login", fields, Origin="https://another.example.org")
        assert foreign.status == 403
        entered = await someone.post("/login", fields, Origin="https://gw.example.org")
        assert entered.status == 303
        assert entered.headers["Set-Cookie"].startswith("__Host-gateway-session=")
        assert "Secure" in entered.headers["Set-Cookie"]
        await someone.post("/login", fields | {"password": "wrong"}, Origin="https://gw.example.org")
        assert "ada from 10.1.1.1" in caplog.text, "the last address is the proxy's; before it anybody writes"


async def test_nobody_else_states_how_a_request_came(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    http = Http(port=0, behind_proxy=["10.9.9.9"])
    async with start(http=http) as gateway, browser(f"http://127.0.0.1:{gateway.http_port}") as someone:
        await add_user(gateway.store, "ada", Role.ADMIN, now=1)
        someone.session.headers.update(STATED)
        asked = await someone.open("/login")
        assert HSTS not in asked.headers
        await someone.post("/login", {"name": "ada", "password": "wrong", "to": "/"})
        assert "ada from 127.0.0.1" in caplog.text


WRITTEN = {
    "10.1.1.1:50123": "10.1.1.1",
    "[2001:db8::7]:50123": "2001:db8::7",
    "[2001:db8::7]": "2001:db8::7",
    "2001:db8::7": "2001:db8::7",
    "6.6.6.6, unknown": "127.0.0.1",
    "6.6.6.6, 127.0.0.1": "6.6.6.6",
    "made up, 127.0.0.1": "127.0.0.1",
}


async def test_an_address_is_read_as_proxies_write_it(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """With the port of each connection, wrong passwords would be counted for each connection."""
    http = Http(port=0, behind_proxy=["127.0.0.1"])
    async with start(http=http) as gateway, browser(f"http://127.0.0.1:{gateway.http_port}") as someone:
        for stated, address in WRITTEN.items():
            caplog.clear()
            await someone.ask("POST", "/login", {"name": "ada", "password": "wrong"}, {"X-Forwarded-For": stated})
            assert [line for line in caplog.messages if line.endswith(f"unknown from {address}")], stated
