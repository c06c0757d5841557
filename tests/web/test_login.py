from __future__ import annotations

import base64
import re

from gateway.errors import Fate
from gateway.web.server import ROUTES
from tests.web.served import NINE, Served, add_delivery, served

TOKEN = "s3cret-tökén"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


OPEN = frozenset(route.path for route in ROUTES if route.open)


async def test_everything_but_health_and_public_keys_asks_for_the_token(sqlite_url: str) -> None:
    async with served(sqlite_url, token=TOKEN) as console:
        assert {
            "/health/live", "/health/ready", "/.well-known/jwks.json", "/static/{name}", "/login", "/login/oidc",
            "/login/oidc/callback", "/password",
        } == OPEN  # fmt: skip
        paths = [re.sub(r"\{\w+\}", "1", route.path) for route in ROUTES if route.path not in OPEN]
        for path in [*paths, "/api/nothing", "/health/x", "/health/live/", "//health/live"]:
            method = "POST" if path.endswith(("/retry", "/replay")) else "GET"
            async with console.session.request(method, console.base + path) as response:
                assert response.status == 401, path
                schemes = {value.split()[0] for value in response.headers.getall("WWW-Authenticate")}
                assert schemes == {"Bearer", "Basic"}
                assert "token" in (await response.json())["error"]["message"]


async def test_health_is_open(sqlite_url: str) -> None:
    async with served(sqlite_url, token=TOKEN) as console:
        assert (await console.get("/health/live"))[0] == 200
        assert (await console.get("/health/ready"))[0] == 200


async def test_the_token_opens_as_bearer_and_as_password(sqlite_url: str) -> None:
    async with served(sqlite_url, token=TOKEN) as console:
        for header in (f"Bearer {TOKEN}", f"bearer {TOKEN}", basic("anyone", TOKEN)):
            status, _ = await console.get("/api/orders", headers={"Authorization": header})
            assert status == 200, header


async def test_nothing_else_opens(sqlite_url: str) -> None:
    async with served(sqlite_url, token=TOKEN) as console:
        for header in (
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            f"Bearer {TOKEN}x",
            f"Digest {TOKEN}",
            "Basic !!!",
            "Basic",
            f"Basic {TOKEN}",
            basic(TOKEN, ""),
            basic("anyone", "wrong"),
        ):
            assert (await console.get("/api/orders", headers={"Authorization": header}))[0] == 401, header


async def test_without_a_token_a_foreign_host_name_is_refused(console: Served) -> None:
    for host, wanted in (
        ("127.0.0.1", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("[", 403),
    ):
        assert (await console.get("/api/orders", headers={"Host": host}))[0] == wanted, host


async def test_a_form_of_another_site_is_refused(console: Served) -> None:
    row = await console.store.write(lambda c: add_delivery(c, at=NINE, fate=Fate.PARK))
    address = f"/api/deliveries/{row}/retry"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": console.base},
    ):
        assert (await console.post(address, headers=headers))[0] == 403, headers
    assert (await console.post(address, headers={"Origin": console.base}))[0] == 200


async def test_every_answer_carries_the_careful_headers(sqlite_url: str) -> None:
    async with served(sqlite_url, token=TOKEN) as console:
        for path in ("/health/live", "/", "/api/nothing"):
            async with console.session.get(console.base + path) as response:
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert response.headers["Cache-Control"] == "no-store"
