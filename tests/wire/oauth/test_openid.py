"""ID tokens that must not be believed: each is made by a provider whose key, claims or header are wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from gateway.errors import Unavailable
from gateway.wire.oauth.openid import Flow, NotVouched, OpenIdProvider

FLOW = Flow("state", "nonce", "verifier")
KEY, OTHER = (ECKey.generate_key("P-256", parameters={"kid": "one"}) for _ in range(2))
CLIENT = "gateway"


class _Provider:
    """Gives out one ID token."""

    def __init__(self) -> None:
        self.issuer = ""
        self.id_token = ""
        self.form: dict[str, Any] = {}
        self.user: dict[str, Any] = {}
        self.stated_issuer = ""
        self.status = 200
        self.asked = 0
        """Times that the metadata was asked for."""

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {"iss": self.issuer, "aud": CLIENT, "sub": "s1", "iat": now, "exp": now + 300, "nonce": "nonce"}
        return {name: value for name, value in (whole | changes).items() if value is not None}

    async def metadata(self, _request: web.Request) -> web.Response:
        self.asked += 1
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
        endpoints = {name: f"{self.issuer}/{name}" for name in names}
        return web.json_response({"issuer": self.stated_issuer or self.issuer, **endpoints}, status=self.status)

    async def keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [KEY.as_dict(private=False)]})

    async def token(self, request: web.Request) -> web.Response:
        self.form = dict(await request.post())
        return web.json_response({"id_token": self.id_token, "access_token": "a"})

    async def about(self, _request: web.Request) -> web.Response:
        return web.json_response(self.user)


@asynccontextmanager
async def _serving() -> AsyncIterator[_Provider]:
    provider = _Provider()
    application = web.Application()
    application.router.add_get("/.well-known/openid-configuration", provider.metadata)
    application.router.add_get("/jwks_uri", provider.keys)
    application.router.add_get("/userinfo_endpoint", provider.about)
    application.router.add_post("/token_endpoint", provider.token)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


def _signed(claims: dict[str, Any], key: Any = KEY, algorithm: str = "ES256", **header: str) -> str:
    return jwt.encode({"alg": algorithm, "kid": "one", **header}, claims, key, algorithms=[algorithm])


async def _vouched(provider: _Provider, secret: str | None = None) -> dict[str, Any]:
    asking = OpenIdProvider(provider.issuer, CLIENT, secret)
    return dict((await asking.vouched({"state": "state", "code": "c"}, "http://gw/cb", FLOW)).claims)


async def test_a_right_token_is_believed_and_the_verifier_is_shown() -> None:
    async with _serving() as provider:
        provider.id_token = _signed(provider.claims(groups=["a"]))
        provider.user = {"sub": "s1", "groups": ["b"], "name": "Ada"}
        claims = await _vouched(provider)
        assert (claims["groups"], claims["name"]) == (["a"], "Ada"), "the signed claim counts"
        assert (provider.form["code_verifier"], provider.form["client_id"]) == ("verifier", CLIENT)
        provider.user = {"sub": "somebody else", "name": "Eve"}
        assert "name" not in await _vouched(provider)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": [CLIENT, "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"exp": 1}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": 4_000_000_000}, "iat"),
        ({"nonce": "of another login"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "sub"),
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_this_login_is_refused(changes: dict[str, Any], why: str) -> None:
    async with _serving() as provider:
        provider.id_token = _signed(provider.claims(**changes))
        with pytest.raises(NotVouched, match=f"not for this login: .*{why}"):
            await _vouched(provider)


async def test_a_token_that_the_provider_has_not_signed_is_refused() -> None:
    async with _serving() as provider:
        claims = provider.claims()
        head, body, signature = _signed(claims).split(".")
        unsigned = "eyJhbGciOiJub25lIn0." + body + "."
        by_public_key = _signed(claims, OctKey.import_key(str(KEY.as_dict(private=False))), "HS256")
        for id_token in (
            _signed(claims, OTHER), f"{head}.{body}.{signature[::-1]}", unsigned, by_public_key, "", "a.b.c",
            _signed(claims, kid="two"),
        ):  # fmt: skip
            provider.id_token = id_token
            with pytest.raises(NotVouched, match="cannot be believed"):
                await _vouched(provider)


async def test_metadata_of_another_issuer_is_refused() -> None:
    async with _serving() as provider:
        provider.stated_issuer = "https://evil.example"
        with pytest.raises(NotVouched, match=r"as issuer 'https://evil\.example'"):
            await _vouched(provider)


async def test_a_provider_that_is_away_is_asked_once_by_all_who_wait() -> None:
    async with _serving() as provider:
        provider.status, now = 503, [1000.0]
        asking = OpenIdProvider(provider.issuer, CLIENT, None, clock=lambda: now[0])
        asked = [asking.authorization_url("http://gw/cb", FLOW) for _ in range(20)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in answers} == {Unavailable}
        assert provider.asked == 1
        provider.status = 200
        now[0] += 6
        assert (await asking.authorization_url("http://gw/cb", FLOW)).startswith(f"{provider.issuer}/")
