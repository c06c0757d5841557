"""Logins at a real identity provider: who comes back from there, with which role, and who does not.

SQLite alone: what is settled here is settled before a statement is made.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from yarl import URL

from bench.ports import free_port
from gateway.assembly import process as app
from gateway.config.http import Http, Oidc
from gateway.operations.people import users
from gateway.records.person import Role
from tests.journey.running import Start
from tests.peers.oidc_provider import identity_provider, log_in_there, secret_of
from tests.web.browsing import OWNER, Browser, browser

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROLES = {"imaging-readers": "viewer", "imaging-admins": "admin"}
CALLBACK = "/login/oidc/callback"


@dataclass
class Site:
    gateway: app.Running
    base: str
    issuer: str

    async def log_in(self, someone: Browser, person: str, page: str = "/messages") -> str:
        """Where the gateway leads to after a login at the provider."""
        begun = await someone.open(f"/login/oidc?back={page}")
        assert (begun.status, begun.place.startswith(self.issuer)) == (303, True)
        back = await log_in_there(someone.session, begun.place, person, self.base)
        return (await someone.open(back.removeprefix(self.base))).place


@dataclass
class Provider:
    """An identity provider, and the port on which it looks for the gateway."""

    issuer: str
    port: int


@pytest.fixture(scope="module", params=[False], ids=[""])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    """`param`: whether it writes claims into the ID token."""
    port = free_port()
    with identity_provider(f"http://127.0.0.1:{port}", claims_in_id_token=request.param) as issuer:
        yield Provider(issuer, port)


@pytest.fixture
async def site(start: Start, provider: Provider) -> AsyncIterator[Site]:
    oidc = Oidc(
        issuer=provider.issuer, client_id="gateway", client_secret=secret_of("gateway"),
        role_claim="realm_access.roles", roles=ROLES, label="Hospital ID",
    )  # fmt: skip
    async with start(http=Http(port=provider.port, oidc=oidc)) as gateway:
        yield Site(gateway, f"http://127.0.0.1:{provider.port}", provider.issuer)


@pytest.mark.parametrize("provider", [True, False], indirect=True, ids=["ID token", "userinfo"])
async def test_people_log_in_at_the_provider_with_the_roles_it_gives(site: Site) -> None:
    async with browser(site.base) as ada, browser(site.base) as vera, browser(site.base) as nobody:
        page = await ada.open((await ada.open("/messages")).place)
        assert "Log in with Hospital ID" in page.text
        assert await site.log_in(ada, "ada") == "/messages"
        assert "ada</a>" in (await ada.open("/users")).text
        assert await site.log_in(vera, "vera") == "/messages"
        assert (await vera.open("/messages")).status == 200
        assert (await vera.open("/users")).status == 403
        begun = await nobody.open("/login/oidc")
        back = await log_in_there(nobody.session, begun.place, "nobody", site.base)
        refused = await nobody.open(back.removeprefix(site.base))
        assert (refused.status, "gives no role of the gateway" in refused.text) == (401, True)
        out = await ada.press("/", "/logout")
        assert out.status == 200
        there = URL(out.headers["Refresh"].partition("url=")[2])
        assert str(there).startswith(f"{site.issuer}/session/end?")
        assert (await ada.open("/")).place.startswith("/login?back=")
        async with ada.session.get(there) as page_there:
            assert (page_there.status, "sign-out" in (await page_there.text())) == (200, True)


async def test_a_user_who_is_disabled_here_is_not_let_in_and_a_local_name_is_not_taken(site: Site) -> None:
    async with browser(site.base) as ada, browser(site.base) as vera:
        store = site.gateway.store
        await store.write(lambda c: users.add(c, "ada", Role.ADMIN, person=OWNER, now=1))
        await site.log_in(ada, "ada")
        assert "ada+2</a>" in (await ada.open("/")).text
        await site.log_in(vera, "vera")
        await store.write(lambda c: users.enable(c, "vera", enabled=False, person=OWNER, now=1))
        assert (await vera.open("/")).status == 303
        begun = await vera.open("/login/oidc")
        back = await log_in_there(vera.session, begun.place, "vera", site.base)
        refused = await vera.open(back.removeprefix(site.base))
        assert (refused.status, "disabled here" in refused.text) == (401, True)


async def test_an_answer_counts_once_in_the_browser_that_began_and_for_this_login(site: Site) -> None:
    async with browser(site.base) as ada, browser(site.base) as thief:
        begun = await ada.open("/login/oidc")
        back = (await log_in_there(ada.session, begun.place, "ada", site.base)).removeprefix(site.base)
        assert (await thief.open(back)).status == 401, "begun elsewhere"
        await thief.open("/login/oidc")
        assert (await thief.open(back)).status == 401, "another login"
        query = URL(back).query
        for wrong in ({"state": "x"}, {"code": "x"}, {"iss": "https://evil.example"}, {"error": "access_denied"}):
            address = URL(CALLBACK).with_query({**query, **wrong})
            assert (await ada.open(str(address))).status == 401, wrong


async def test_a_provider_that_is_away_is_no_fault_of_the_gateway(start: Start) -> None:
    gone = Oidc(issuer=f"http://127.0.0.1:{free_port()}", client_id="gateway")
    async with start(http=Http(port=0, oidc=gone)) as gateway, browser(f"http://127.0.0.1:{gateway.http_port}") as one:
        page = await one.open("/login/oidc")
        assert (page.status, "identity provider" in page.text) == (503, True)
        assert (await one.open("/login")).status == 200


async def test_answers_that_were_made_up_are_refused_slowed_down_and_not_taken_to_the_provider(site: Site) -> None:
    async with browser(site.base) as thief:
        made_up = [1, {}, [1, 2, 3, 4], ["s", "n", {}, "/"], "text", ["s", "n", "v"]]
        for kept in (*(json.dumps(one).encode().hex() for one in made_up), "zz"):
            page = await thief.open(f"{CALLBACK}?state=s&code=c", Cookie=f"gateway-login={kept}")
            assert (page.status, "begin again" in page.text) == (401, True), kept
        kept = json.dumps(["s", "n", "v", "/"]).encode().hex()
        statuses = [
            (await thief.open(f"{CALLBACK}?state=s&code={number}", Cookie=f"gateway-login={kept}")).status
            for number in range(40)
        ]
        assert set(statuses) == {401, 429}
        assert statuses.count(429) >= 10
