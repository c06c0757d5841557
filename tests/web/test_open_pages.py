"""A page that is left open: what it follows ends with the login, and does not prolong it."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from aiohttp import ClientSession

from gateway.operations.people import tokens
from gateway.records.person import Role
from tests.web.browsing import OWNER, add_user, browser
from tests.web.served import SECOND, add_message, served

MINUTE = 60 * SECOND


async def test_a_page_that_is_left_open_lets_its_session_rest(sqlite_url: str) -> None:
    async with served(sqlite_url) as console, browser(console.base) as someone:
        await add_user(console.store, "vera", Role.ADMIN, now=console.now)
        await someone.log_in("vera")
        async with someone.session.get(f"{console.base}/events") as stream, asyncio.timeout(120):
            for _ in range(2):
                assert await stream.content.readline()
                console.now += 20 * MINUTE
                await console.store.write(add_message)
            assert await stream.content.read() is not None, "it ends"
        assert (await someone.open("/")).status == 303


@pytest.mark.parametrize("is_revoked", [True, False])
async def test_what_an_api_token_follows_ends_with_it(sqlite_url: str, is_revoked: bool) -> None:
    async with served(sqlite_url, token="of the configuration") as console, ClientSession() as session:
        make = partial(tokens.make, role=Role.VIEWER, scanner="", days=1, person=OWNER, now=console.now)
        shown = {"Authorization": f"Bearer {(await console.store.write(partial(make, name='screen'))).token}"}
        async with session.get(f"{console.base}/events", headers=shown) as stream, asyncio.timeout(120):
            assert await stream.content.readline()
            if is_revoked:
                await console.store.write(partial(tokens.revoke, name="screen", person=OWNER, now=console.now))
            else:
                console.now += 25 * 60 * MINUTE
            await console.store.write(add_message)
            await stream.content.read()


async def test_a_page_with_a_long_address_leads_to_the_login_all_the_same(sqlite_url: str) -> None:
    async with served(sqlite_url) as console, browser(console.base) as someone, browser(console.base) as other:
        await add_user(console.store, "vera", Role.ADMIN, now=console.now)
        await someone.log_in("vera")
        assert (await other.open(f"/search?q={'x' * 3000}")).place == "/login?back=/"


async def test_no_answer_tells_which_libraries_serve_it(sqlite_url: str) -> None:
    async with served(sqlite_url) as console, browser(console.base) as someone:
        for path in ("/", "/nothing", "/health/live"):
            assert (await someone.open(path)).headers["Server"] == "imaging-gateway", path
